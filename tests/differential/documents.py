"""Documents made from a seed: everything that canonicalisation treats in its own way.

Left out, because libxml2 departs from the text there: `&` in a namespace name (it writes `&#38;`), non-ASCII namespace names
(it takes them for relative), and under C14N 1.1 of `xml:base` the empty one (it drops it everywhere, where the text drops
joined values that came out empty), joined ones that come out empty (it writes `.`), those that climb above the root of an
absolute path (it keeps the `..`, against RFC 3986 §5.2.4), those with an authority and no scheme (it loses a slash), and `./`
on a base without a directory (it stays).
"""
import random

URIS = ["urn:a", "urn:b", "http://x.test/?q='1'", "urn:A", "urn:a:b", "http://x.test/%C3%A9", "urn:b:"]
PREFIXES = ["a", "b", "c", "soap", "wsse", "_x", "ä", "a-b", "B"]
TEXTS = ["x", " ", "\n  ", "\r\n", "\r", "&amp;", "&lt;", "&gt;", ">", "&#13;", "&#xD;\n", "&#10;", "\t", "&#9;",
         "<![CDATA[<&>\r\n]]>", "<![CDATA[]]>", "é", "\U0001F600", "&#x1F600;", "&quot;\"'", "]] ", "&apos;",
         "<![CDATA[a]]b]]>", "<![CDATA[&amp;]]>", "\u2028", "\u0085", "\ufffd", "\U0010FFFD", "&#xE9;", "&amp;lt;", "\r&#13;\n"]
VALUES = ["", "v", " a  b ", "\t", "\n", "\r\n", "\r", "&#9;", "&#10;", "&#13;", "&lt;", "&gt;>", "&amp;", "&quot;", "'",
          "é\U0001F600", "&#x20;", "&apos;", "&#x1F600;", "\u2028", "\u0085"]
BASES = ["http://h.test/1/2/3/4/5/6/7/8/9", "x/y", "../z", "/1/2/3/4/5/6/7/8/9/s", "../../u", "k?q", "d/"]
MISC = ["<!--c-->", "<!-- é\r\n-->", "<!---->", "<!-- <a>&amp; -->", "<?p?>", "<?p  d ata ?>", "<?q-r x\r\ny?>", "<?p \t?>",
        "<?p &amp;<a>\U0001F600?>"]


class Documents:
    """An endless, repeatable row of documents: `next()` gives the source and its Ids in document order."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def next(self):
        r = self.random
        self.ids = []
        self.parents = {}
        self.xml_attributes = r.random() < 0.5
        before = "".join(r.choice(MISC) + r.choice(["", "\n"]) for _ in range(r.choice([0, 0, 1, 2])))
        root = self.element({}, r.choice([1, 2, 3]), None)
        after = "".join(r.choice(["", "\n"]) + r.choice(MISC) for _ in range(r.choice([0, 0, 1, 2])))
        declaration = r.choice(["", "\ufeff", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>\n'])
        return (declaration + before + root + after).encode()

    def within(self, apex):
        """An Id strictly below `apex`, if there is one."""
        below = []
        for candidate in self.ids:
            up = self.parents[candidate]
            while up is not None and up != apex:
                up = self.parents[up]
            if up == apex:
                below.append(candidate)
        return self.random.choice(below) if below else None

    def element(self, scope, depth, parent):
        r = self.random
        scope = dict(scope)
        attributes = []
        for prefix in r.sample(PREFIXES, r.choice([0, 0, 1, 1, 2, 3])):
            scope[prefix] = r.choice(URIS)
            attributes.append('xmlns:%s="%s"' % (prefix, scope[prefix]))
        if r.random() < 0.35:
            scope[""] = r.choice(URIS + ["", "", ""])
            attributes.append("xmlns='%s'" % scope[""].replace("'", "&#39;"))
        prefixes = [p for p in scope if p]
        used = set()
        for _ in range(r.choice([0, 0, 1, 2, 4])):
            prefix = r.choice([""] + prefixes)
            local = r.choice("pqrstuvw" if not prefix else "pqr") + r.choice(["", "1", "-a"])
            key = (scope[prefix] if prefix else "", local)
            if key in used:
                continue
            used.add(key)
            attributes.append((prefix + ":" if prefix else "") + local + r.choice(["=", " = "]) + self.value())
        if self.xml_attributes:
            for name, values in [("lang", ["en", "fr", ""]), ("space", ["preserve", "default"]), ("base", BASES)]:
                if r.random() < 0.15:
                    attributes.append('xml:%s="%s"' % (name, r.choice(values)))
            if r.random() < 0.1:
                attributes.append('xml:id="x%d"' % len(self.ids))
        own = "i%d" % len(self.ids)
        self.ids.append(own)
        self.parents[own] = parent
        attributes.append('Id="%s"' % own)
        r.shuffle(attributes)
        prefix = r.choice([""] + prefixes)
        name = (prefix + ":" if prefix else "") + r.choice(["e", "f", "Body", "é"])
        tag = "<" + name + "".join(r.choice([" ", "\n ", "  ", "\r\n"]) + a for a in attributes) + r.choice(["", " "])
        if depth == 0 or r.random() < 0.2:
            return tag + "/>"
        inside = []
        for _ in range(r.choice([0, 1, 2, 3, 4])):
            kind = r.random()
            if kind < 0.5:
                inside.append(self.element(scope, depth - 1, own))
            elif kind < 0.85:
                inside.append("".join(r.choice(TEXTS) for _ in range(r.choice([1, 2, 3]))))
            else:
                inside.append(r.choice(MISC))
        return tag + ">" + "".join(inside) + "</" + name + r.choice(["", " ", "\n"]) + ">"

    def value(self):
        r = self.random
        quote = r.choice("\"'")
        value = "".join(r.choice(VALUES) for _ in range(r.choice([1, 1, 2])))
        return quote + value.replace(quote, "&#34;" if quote == '"' else "&#39;") + quote
