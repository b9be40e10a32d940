#!/usr/bin/env python3
"""Damaged documents and whether libxml2 reads them, for crates/xmlsec/tests/reader.rs to compare.

reader.py COUNT SEED: `read VERDICT LENGTH` and the bytes; VERDICT is `well-formed` or `refused` (namespaces count). After one that is
well-formed, `canonical LENGTH` and its canonical form (1.0, with comments), where libxml2 finds one.
"""
import sys

from lxml import etree

from documents import Documents

PIECES = [piece.encode() for piece in [
    "<", ">", "&", "/", "=", "'", '"', ":", ";", "#", "?", "!", "-", "[", "]", " ", "\n", "\r", "\t", "x", "1", "é", "\u0300", "\u2003", "·",
    "]]>", "--", "-->", "<!--", "<![CDATA[", "<?", "?>", "<?xml?>", '<?xml version="1.0"?>', "<?XML ?>", "<?a:b?>", "<a/>", "<a>", "</a>", "<e ",
    "&lt", "&lt;", "&LT;", "&bogus;", "&#0;", "&#8;", "&#x9;", "&#xD800;", "&#x110000;", "&#xFFFE;", "&#xFFFF;", "&#;", "&#x;", "&#X41;", "&#-1;",
    "\0", "\x01", "\x1f", "\x7f", "\ufeff", "\ufffe", "\uffff", "\U0010FFFF", " p='1'", " p='1' p='2'", "p=\"<\"", " p='&'", " p = '1'q='2'", " p=1", " p",
    " a:p='1'", " zz:p='1'", "zz:", ":p", "p:", "a:b:c", " xmlns='urn:x'", " xmlns=''", " xmlns:a=''", " xmlns:a='urn:x'", " xmlns:a='urn:x' xmlns:a='urn:y'",
    " xmlns:xml='urn:x'", " xmlns:x='http://www.w3.org/XML/1998/namespace'", " xmlns:xml='http://www.w3.org/XML/1998/namespace'", " xmlns:xmlns='urn:x'",
    " xmlns:x='http://www.w3.org/2000/xmlns/'", " xmlns='http://www.w3.org/XML/1998/namespace'", " xmlns:a='urn:s' xmlns:b='urn:s' a:p='' b:p=''",
    " xml:lang='en'", " xml:lang='a' xml:lang='b'",
]] + [b"\x80", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe9", b"\xf0\x9f\x98"]


def damaged(r, source):
    data = bytearray(source)
    for _ in range(r.choice([0, 1, 1, 1, 2])):
        at, to = r.randint(0, len(data)), r.randint(0, len(data))
        kind = r.random()
        if kind < 0.6:
            data[at:at] = r.choice(PIECES)
        elif kind < 0.75:
            del data[at:at + r.choice([1, 1, 2, 5])]
        elif kind < 0.9:
            data[at:at + 1] = r.choice(PIECES)
        else:
            data[to:to] = data[at:at + r.randint(1, 20)]
    return bytes(data)


def judged(data):
    parser = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return "refused", None
    # lxml lets an error of namespaces pass when a warning came after it.
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.error_log):
        return "refused", None
    try:
        return "well-formed", etree.tostring(root.getroottree(), method="c14n", with_comments=True)
    except etree.C14NError:
        return "well-formed", None


def main(count, seed):
    documents = Documents(seed)
    done = 0
    while done < count:
        data = damaged(documents.random, documents.next())
        # libxml2 refuses an xml:id that is no NCName, which is another specification's rule.
        if b"xml:id" in data:
            continue
        done += 1
        verdict, canonical = judged(data)
        sys.stdout.buffer.write(b"read %s %d\n%s\n" % (verdict.encode(), len(data), data))
        if canonical is not None:
            sys.stdout.buffer.write(b"canonical %d\n%s\n" % (len(canonical), canonical))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
