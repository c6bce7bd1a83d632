"""Which flag somebody means by a name that no flag has: by other programs' names, by words, by spelling."""

from collections.abc import Iterable, Sequence

from nstyle.settings.options import listed

OTHER_NAMES = {
    "blend-style": "style-blend style-blend-weights style-weights",
    "content-image": "content image in input input-image photo source target",
    "device": "cpu cuda cuda-device gpus no-cuda use-gpu",
    "every": "interval refresh",
    "film": "clip movie video",
    "frame-rate": "fps framerate",
    "grain": "noise",
    "image-format": "file-format filetype format jpeg jpg png tiff webp",
    "init": "init-image initial initial-image start",
    "lr": "learning-rate step-size",
    "max-long-edge": "content-size edge image-size img-size imsize max-size resolution width",
    "max-num-epochs": "epoch epochs iter iterations iters max-iter "
    "max-iterations n-iter num-iter num-iterations num-iters num-steps steps",
    "mask": "content-mask region",
    "model": "arch backbone net network vgg",
    "mp4": "film video",
    "optimizer": "adam lbfgs nag optim",
    "output-dir": "directory folder o out output output-image output-path result save-path",
    "overwrite": "force replace y yes",
    "preserve-colors": "color color-transfer keep-colors match-colors original-colors",
    "quiet": "q silent",
    "remove-noise": "denoise smooth",
    "resume": "continue",
    "save-epochs": "checkpoint-iterations print-iter print-iterations "
    "save-every save-iter save-interval save-iterations",
    "scales": "octaves pyramid",
    "seamless": "tile tileable tiled tiling wrap",
    "seed": "random-seed random-state",
    "size": "texture",
    "stop-eps": "tol tolerance",
    "strength": "alpha intensity style-strength",
    "style-crop": "crop crop-style style-part style-region",
    "style-image": "artwork painting style styles",
    "style-loss": "gram mrf wasserstein",
    "style-scale": "style-size",
    "sweep": "grid grid-search",
    "tv-weight": "smoothness total-variation tv",
    "unrealness": "style-content-ratio u unreal",
    "verbose": "debug v verbosity",
    "watch": "follow live",
    "weights": "checkpoint model-file model-path",
}
"""By a flag without its hyphens: what other programs for style transfer, and people, call it, separated by spaces."""

_MOST = 7
"""Most flags to suggest at once."""

_LIKE = 0.75
"""How alike two spellings are at least, as `difflib` measures it. At its default, 0.6, "edge" is like "seed"."""


def nearest_flag(name: str, flags: Iterable[str]) -> str:
    """Return "; did you mean --a or --b?" for a flag that does not exist; "" if none is near.

    Tries in this order: another program's name, flags with all words of the name, flags that begin like it, the
    longest flag with all its words in the name, a typing error. Case, underscores and a plural "s" do not matter.

    Args:
        name: the name as typed, with or without hyphens before it.
        flags: the flags that exist, with or without hyphens before them.

    """
    plain = {flag.lstrip("-"): flag for flag in flags}
    meant = _meant(name.lstrip("-").lower().replace("_", "-"), list(plain))
    return f"; did you mean {listed(tuple(plain[one] for one in meant))}?" if 0 < len(meant) <= _MOST else ""


def _meant(name: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches  # late: only an error needs it

    for flag, others in OTHER_NAMES.items():
        if name in others.split() and flag in known:
            return [flag]
    words = _words(name)
    containing = [flag for flag in known if words and words <= _words(flag)]
    beginning = [flag for flag in known if len(name) > 2 and flag.startswith(name)]
    contained = sorted((flag for flag in known if _words(flag) <= words), key=len)
    return containing or beginning or contained[-1:] or get_close_matches(name, known, n=1, cutoff=_LIKE)


def _words(name: str) -> set[str]:
    """Return the words of a flag, without a plural "s"."""
    return {word.removesuffix("s") for word in name.split("-") if word}
