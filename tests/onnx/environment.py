"""Makes a virtual environment with the packages of requirements.txt below FOLDER, unless it is there, and prints the path
of its Python. Needs Python 3.11 or later on a Unix. Use: python3 tests/onnx/environment.py FOLDER
"""

import sys

# What the packages need; before anything that an older Python may lack.
if sys.version_info < (3, 11):
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit("the ONNX test needs Python 3.11 or later, but python3 is " + found)

import fcntl
import hashlib
import pathlib
import shutil
import subprocess
import venv

requirements = pathlib.Path(__file__).with_name("requirements.txt")
# Other packages or another Python make another environment.
text = requirements.read_bytes() + sys.version.encode()
folder = pathlib.Path(sys.argv[1]) / f"onnx-{hashlib.sha256(text).hexdigest()[:8]}"
python = folder / "bin" / "python"
complete = folder / "complete"
folder.parent.mkdir(parents=True, exist_ok=True)
# Of several test programs one makes the environment and the others wait; the lock ends with the process.
with open(f"{folder}.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        options = ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2", "--timeout", "30"]
        command = [str(python), "-m", "pip", "install", *options, "--requirement", str(requirements)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        complete.touch()
print(python)
