"""libxml2's C14N as it is inside the lxml wheel, reached by ctypes: lxml's own API has no subtree by Id."""
import ctypes

from lxml import etree

X = ctypes.CDLL(etree.__file__)
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
free = ctypes.CFUNCTYPE(None, P)(P.in_dll(X, "xmlFree").value)
NOERROR_NOWARNING_NONET = 32 | 64 | 2048
MODES = {"inclusive10": 0, "exclusive": 1, "inclusive11": 2}


class XPathObject(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("nodeset", P)]


class Document:
    """One document, read once; `with` frees it."""

    def __init__(self, source):
        self.document = X.xmlReadMemory(source, len(source), None, None, NOERROR_NOWARNING_NONET)
        if not self.document:
            raise ValueError("not read: %r" % source)
        self.context = X.xmlXPathNewContext(self.document)
        self.results = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for result in self.results:
            X.xmlXPathFreeObject(result)
        X.xmlXPathFreeContext(self.context)
        X.xmlFreeDoc(self.document)

    def subtree(self, apex, without=None):
        """The node set of the element with Id `apex`, less the element with Id `without` and all in it."""
        inside = "//*[@Id='%s']/descendant-or-self::" % apex
        query = "%snode() | %s*/@* | %s*/namespace::*" % (inside, inside, inside)
        if without:
            query = "(%s)[not(ancestor-or-self::*[@Id='%s'])]" % (query, without)
        result = X.xmlXPathEvalExpression(query.encode(), self.context)
        self.results.append(result)
        return ctypes.cast(result, ctypes.POINTER(XPathObject)).contents.nodeset

    def canonical(self, nodes, algorithm, comments, prefixes):
        """The canonical form of a node set, or of the whole document where it is None."""
        array = (ctypes.c_char_p * (len(prefixes) + 1))(*[p.encode() for p in prefixes], None) if prefixes else None
        out = P()
        length = X.xmlC14NDocDumpMemory(self.document, nodes, MODES[algorithm], array, int(comments), ctypes.byref(out))
        if length < 0:
            raise ValueError("no canonical form")
        answer = ctypes.string_at(out, length)
        free(out)
        return answer
