"""The public face of generated classes: one line a class, a member; fields in their order (JAXB's), methods sorted.

    classes.py FOLDER        FOLDER: compiled classes; those of packages be.* are listed"""

import pathlib
import subprocess
import sys


def main(folder):
    folder = pathlib.Path(folder)
    names = sorted(".".join(file.relative_to(folder).with_suffix("").parts) for file in folder.glob("be/**/*.class"))
    listing = subprocess.run(["javap", "-protected", "-cp", folder, *names], check=True, capture_output=True, text=True).stdout
    fields, methods = [], []
    for line in listing.splitlines():
        if line.startswith("Compiled from") or "$" in line:
            continue
        if line == "}":
            print("\n".join(fields + sorted(methods)))
            fields, methods = [], []
        elif line.startswith(" "):
            (methods if "(" in line else fields).append(line.rstrip(";"))
        else:
            fields.append(line.removesuffix(" {"))


if __name__ == "__main__":
    main(sys.argv[1])
