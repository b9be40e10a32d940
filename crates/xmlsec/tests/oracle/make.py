#!/usr/bin/env python3
"""Writes c14n.txt: generated documents and libxml2's canonical forms of them.

Run by hand when the generator changes: python3 make.py > c14n.txt (needs libxml2.so.2; nothing else does).
One case is a line `case ALGORITHM COMMENTS SUBTREE PREFIXES`, then `in` and `out`, each a JSON string.
SUBTREE is the value of the `t` attribute of the apex, `-` for the whole document.
"""
import ctypes
import json
import random
import sys

X = ctypes.CDLL("libxml2.so.2")
P = ctypes.c_void_p
for name, restype, argtypes in [
    ("xmlReadMemory", P, [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]),
    ("xmlXPathNewContext", P, [P]),
    ("xmlXPathEvalExpression", P, [ctypes.c_char_p, P]),
    ("xmlXPathFreeObject", None, [P]),
    ("xmlXPathFreeContext", None, [P]),
    ("xmlFreeDoc", None, [P]),
    ("xmlC14NDocDumpMemory", ctypes.c_int,
     [P, P, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.POINTER(P)]),
]:
    function = getattr(X, name)
    function.restype, function.argtypes = restype, argtypes
NOERROR_NOWARNING_NONET = 32 | 64 | 2048


class XPathObject(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("nodeset", P)]


MODES = {"inclusive10": 0, "exclusive": 1, "inclusive11": 2}


def canonical(source, algorithm, comments, subtree, prefixes):
    document = X.xmlReadMemory(source, len(source), None, None, NOERROR_NOWARNING_NONET)
    if not document:
        raise ValueError("not read: %r" % source)
    nodes, result, context = None, None, None
    if subtree != "-":
        context = X.xmlXPathNewContext(document)
        query = "(//. | //@* | //namespace::*)[ancestor-or-self::*[@t='%s']]" % subtree
        result = X.xmlXPathEvalExpression(query.encode(), context)
        nodes = ctypes.cast(result, ctypes.POINTER(XPathObject)).contents.nodeset
    array = (ctypes.c_char_p * (len(prefixes) + 1))(*[p.encode() for p in prefixes], None)
    out = P()
    length = X.xmlC14NDocDumpMemory(document, nodes, MODES[algorithm], array if prefixes else None,
                                    int(comments), ctypes.byref(out))
    answer = ctypes.string_at(out, length) if length >= 0 else None
    if result:
        X.xmlXPathFreeObject(result)
        X.xmlXPathFreeContext(context)
    X.xmlFreeDoc(document)
    return answer


# No `&` (libxml2 writes `&#38;` of it in a namespace name) and ASCII only (it refuses others as relative).
URIS = ["urn:a", "urn:b", "http://x.test/?q='1'", "urn:A", "urn:a:b", "http://x.test/%C3%A9"]
PREFIXES = ["a", "b", "c", "soap", "wsse", "_x", "ä"]
TEXTS = ["x", " ", "\n  ", "\r\n", "\r", "&amp;", "&lt;", "&gt;", ">", "&#13;", "&#xD;\n", "&#10;", "\t", "&#9;",
         "<![CDATA[<&>\r\n]]>", "<![CDATA[]]>", "é", "\U0001F600", "&#x1F600;", "&quot;\"'", "]]", "&apos;",
         "<![CDATA[a]]b]]>", "\u2028", "\u0085"]
VALUES = ["", "v", " a  b ", "\t", "\n", "\r\n", "&#9;", "&#10;", "&#13;", "&lt;", "&gt;>", "&amp;", "&quot;", "'",
          "é\U0001F600", "&#x20;"]
# No empty one: libxml2 drops xml:base="" under C14N 1.1 everywhere, where the text does so for joined values alone.
BASES = ["http://h.test/d/f", "x/y", "../z", "/r/s", "../../u", "http://i.test", "k?q"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0
        self.extras = self.random.random() < 0.5

    def misc(self):
        r = self.random
        return r.choice(["<!--c-->", "<!-- é\r\n-->", "<?p?>", "<?p  d ata ?>", "<?q-r x\r\ny?>"])

    def element(self, scope, depth):
        r = self.random
        scope = dict(scope)
        attributes = []
        for prefix in r.sample(PREFIXES, r.choice([0, 0, 1, 1, 2, 3])):
            scope[prefix] = r.choice(URIS)
            attributes.append('xmlns:%s="%s"' % (prefix, scope[prefix]))
        if r.random() < 0.35:
            scope[""] = r.choice(URIS + ["", ""])
            attributes.append('xmlns="%s"' % scope[""])
        used = set()
        for _ in range(r.choice([0, 0, 1, 2, 4])):
            prefix = r.choice([""] + [p for p in scope if p])
            local = r.choice("pqrstuvw" if not prefix else "pqr") + r.choice(["", "1", "-a"])
            key = (scope[prefix] if prefix else "", local)
            if key in used or local == "t":
                continue
            used.add(key)
            quote = r.choice("\"'")
            value = "".join(r.choice(VALUES) for _ in range(r.choice([1, 1, 2])))
            value = value.replace(quote, "&#34;" if quote == '"' else "&#39;")
            attributes.append((prefix + ":" if prefix else "") + local + r.choice(["=", " = "]) + quote + value + quote)
        for name, values in [("lang", ["en", "fr"]), ("space", ["preserve", "default"]), ("base", BASES)]:
            if self.extras and r.random() < 0.15:
                attributes.append('xml:%s="%s"' % (name, r.choice(values)))
        self.count += 1
        attributes.append('t="%d"' % self.count)
        r.shuffle(attributes)
        prefix = r.choice([""] + [p for p in scope if p])
        name = (prefix + ":" if prefix else "") + r.choice(["e", "f", "Body", "é"])
        tag = "<" + name + "".join(r.choice([" ", "\n ", "  "]) + a for a in attributes) + r.choice(["", " "])
        if depth == 0 or r.random() < 0.2:
            return tag + "/>"
        inside = []
        for _ in range(r.choice([0, 1, 2, 3, 4])):
            kind = r.random()
            if kind < 0.5:
                inside.append(self.element(scope, depth - 1))
            elif kind < 0.85:
                inside.append("".join(r.choice(TEXTS) for _ in range(r.choice([1, 2, 3]))))
            else:
                inside.append(self.misc())
        return tag + ">" + "".join(inside) + "</" + name + r.choice(["", " ", "\n"]) + ">"

    def document(self):
        r = self.random
        before = "".join(self.misc() + r.choice(["", "\n"]) for _ in range(r.choice([0, 0, 1, 2])))
        after = "".join(r.choice(["", "\n"]) + self.misc() for _ in range(r.choice([0, 0, 1, 2])))
        declaration = r.choice(["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>\n'])
        return declaration + before + self.element({}, r.choice([1, 2, 3])) + after


def main(count, first_seed):
    for seed in range(first_seed, first_seed + count):
        generator = Generator(seed)
        source = generator.document()
        # `>` of a CDATA end glued to brackets is not what is tested here.
        if any(bad in source for bad in ("]]]]>", "]]]>")) or "]]>" in source.replace("<![CDATA[<&>\r\n]]>", "").replace(
                "<![CDATA[]]>", "").replace("<![CDATA[a]]b]]>", ""):
            continue
        r = random.Random(-seed - 1)
        for algorithm in MODES:
            comments = r.random() < 0.5
            subtree = "-" if r.random() < 0.4 else str(r.randint(1, generator.count))
            prefixes = []
            if algorithm == "exclusive" and r.random() < 0.5:
                prefixes = r.sample(PREFIXES + ["#default", "unknown"], r.randint(1, 3))
            out = canonical(source.encode(), algorithm, comments, subtree, prefixes)
            if out is None:
                continue
            print("case", algorithm, int(comments), subtree, ",".join(prefixes) or "-")
            print(json.dumps(source, ensure_ascii=True))
            print(json.dumps(out.decode(), ensure_ascii=True))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 170, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
