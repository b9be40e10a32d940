"""Lists the W3C suite's tests of XML 1.0 (fifth edition) and Namespaces 1.0: `TYPE NAMESPACES ID FILE` a line.

The catalogue is one document with a DTD, which our own reader refuses.
"""
import pathlib
import sys
import xml.etree.ElementTree as ET

folder = pathlib.Path(sys.argv[1])
text = (folder / "xmlconf-flattened.xml").read_text(encoding="utf-8")
start = text.index("<TESTSUITE", text.index("]>"))


def walk(element, base):
    base = base / element.get("{http://www.w3.org/XML/1998/namespace}base", "")
    for child in element:
        yield from walk(child, base)
        if child.tag != "TEST":
            continue
        recommendation = child.get("RECOMMENDATION", "XML1.0")
        of_1_0 = recommendation.startswith(("XML1.0", "NS1.0")) and child.get("VERSION", "1.0") == "1.0"
        if of_1_0 and "5" in child.get("EDITION", "5"):
            yield child.get("TYPE"), child.get("NAMESPACE", "yes"), child.get("ID"), base / child.get("URI")


for kind, namespaces, name, path in walk(ET.fromstring(text[start:]), folder.parent / "xmlconf"):
    print(kind, namespaces, name, path.as_posix())
