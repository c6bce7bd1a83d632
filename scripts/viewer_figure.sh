#!/bin/sh
# Paint the sample pair, make its page with nstyle-view, and take a screenshot: docs/gallery/viewer.jpg. Needs Debian's
# chromium and chromium-driver, and takes about two minutes on two CPU cores.
# usage: sh scripts/viewer_figure.sh [more flags of nstyle ...]
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
sh scripts/environment.sh dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/nstyle --quiet --max-long-edge 256 --max-num-epochs 100 --save-epochs 5 --output-dir "$work" "$@"
.venv/bin/nstyle-view --quiet --gif --sheet "$work"
.venv/bin/python - "$work/index.html" docs/gallery/viewer.jpg <<'PYTHON'
import io
import sys
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

options = ChromeOptions()
options.binary_location = "/usr/bin/chromium"
for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,920"):
    options.add_argument(argument)
browser = Chrome(options, ChromeService("/usr/bin/chromedriver"))
browser.get(Path(sys.argv[1]).resolve().as_uri())
browser.execute_script(
    "[...document.querySelectorAll('label')].find(label => label.textContent.trim() == 'content').click()"
)
browser.implicitly_wait(1)
picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
browser.quit()
picture.resize((900, round(900 * picture.height / picture.width)), Image.Resampling.LANCZOS).save(
    sys.argv[2], quality=85
)
PYTHON
