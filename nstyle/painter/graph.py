"""A generator as a graph of layers that runs over a whole picture, or is walked part by part (see `tiles`)."""

from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor, nn

from nstyle.painter.layers import Layer, Span

CHAIN = "boosted"
"""The kind of generator that is a chain of several."""

IMAGE = "image"
"""The name of a graph's input."""


class Graph(nn.Module):
    """Layers in the order in which they run. The last one's map is the output, of the image's size.

    Sizes are halved, rounded up, and doubled, so any size of picture works.

    Attributes:
        layers: the layers by name.
        inputs: the names of each layer's inputs.
        coarseness: how often the size of each layer's map has been halved.

    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.inputs: dict[str, tuple[str, ...]] = {}
        self.coarseness: dict[str, int] = {IMAGE: 0}

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a layer with its inputs, which are there already. Return its name."""
        self.layers[name] = layer
        self.inputs[name] = inputs
        self.coarseness[name] = self.coarseness[inputs[0]] + layer.coarser
        return name

    def layer(self, name: str) -> Layer:
        """Return a layer by its name."""
        layer = self.layers[name]
        assert isinstance(layer, Layer)  # noqa: S101  (`add` takes nothing else)
        return layer

    def size(self, name: str, image: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) of a layer's map for an image of this height and width."""
        height, width = (-(-length // 2 ** self.coarseness[name]) for length in image)
        return height, width

    def last_uses(self) -> Mapping[str, str]:
        """Return the name of the last layer that needs each map."""
        return {needed: name for name, inputs in self.inputs.items() for needed in inputs}

    def forward(self, image: Tensor) -> Tensor:
        """Return the output for a whole image, N x 3 x H x W, model space."""
        maps, last_uses = {IMAGE: image}, self.last_uses()
        height, width = image.shape[-2:]
        name = IMAGE
        for name, inputs in self.inputs.items():
            rows, columns = (
                Span(0, length, below)
                for length, below in zip(
                    self.size(name, (height, width)), self.size(inputs[0], (height, width)), strict=True
                )
            )
            used = [maps[needed] for needed in inputs]
            for needed in inputs:
                if last_uses[needed] == name:
                    maps.pop(needed, None)
            maps[name] = self.layer(name)(used, rows, columns)
        return maps[name]


class Generator(nn.Module):
    """A network that turns an image into a painting: a chain of graphs, each fed with the output of the one before.

    Attributes:
        stages: the graphs; most generators have one.
        facts: what `make_generator` needs to make the same network again, as JSON values.

    """

    def __init__(self, stages: Iterable[Graph], facts: Mapping[str, str | int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.facts = dict(facts)

    @property
    def is_chain(self) -> bool:
        """Whether it is MXNet's chain, whose stages learn one by one."""
        return self.facts["generator"] == CHAIN

    @property
    def graphs(self) -> list[Graph]:
        """The stages, as graphs."""
        return [stage for stage in self.stages if isinstance(stage, Graph)]

    def paintings(self, image: Tensor) -> Iterator[Tensor]:
        """Yield the output of each stage."""
        for graph in self.graphs:
            image = graph(image)
            yield image

    def forward(self, image: Tensor) -> Tensor:
        """Return the painting of images, N x 3 x H x W: both are in model space, and of the same size."""
        for painting in self.paintings(image):
            image = painting
        return image
