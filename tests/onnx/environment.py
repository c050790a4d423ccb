"""Makes a virtual environment with the packages of requirements.txt below FOLDER, unless it is there, and prints the path
of its Python. Use: python3 tests/onnx/environment.py FOLDER
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import venv

requirements = pathlib.Path(__file__).with_name("requirements.txt")
# Other packages or another Python make another environment.
text = requirements.read_bytes() + sys.version.encode()
folder = pathlib.Path(sys.argv[1]) / f"onnx-{hashlib.sha256(text).hexdigest()[:8]}"
python = folder / "bin" / "python"
complete = folder / "complete"
if not complete.exists():
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2", "--timeout", "30"]
    command = [str(python), "-m", "pip", "install", *options, "--requirement", str(requirements)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    complete.touch()
print(python)
