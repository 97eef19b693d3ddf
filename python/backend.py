"""Builds the wheel of the package (PEP 517): one folder of Python files, without a dependency."""

import base64
import hashlib
import pathlib
import zipfile

_NAME, _VERSION = "steadfast_client", "0.2.0"
_METADATA = f"""Metadata-Version: 2.1
Name: steadfast-client
Version: {_VERSION}
Summary: Reads the signals of a steadfast controller and commands it, on the same machine
License: MIT OR Apache-2.0
Requires-Python: >=3.9
"""
_WHEEL = "Wheel-Version: 1.0\nGenerator: steadfast\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Writes the wheel, and gives its name."""
    files = {
        f"steadfast/{path.name}": path.read_bytes()
        for path in sorted(pathlib.Path("steadfast").glob("*.py"))
    }
    info = f"{_NAME}-{_VERSION}.dist-info"
    files[f"{info}/METADATA"] = _METADATA.encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    name = f"{_NAME}-{_VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
    return name
