#!/usr/bin/env python3
"""Writes generated documents and libxml2's canonical forms of them, for crates/xmlsec/tests/oracle.rs to compare.

c14n.py COUNT SEED: `doc LENGTH` and the source, then for each form `form ALGORITHM COMMENTS APEX WITHOUT PREFIXES LENGTH` and the
canonical bytes; `-` stands for none. Each document is written whole, and one subtree of it by Id, under every algorithm; a
subtree with another left out (what enveloped-signature makes); exclusive C14N without and with a PrefixList.
"""
import sys

from documents import PREFIXES, Documents
from libxml2 import MODES, Document


def forms(documents, document):
    r = documents.random
    apex = r.choice(documents.ids)
    prefixes = r.sample(PREFIXES + ["#default", "unknown"], r.randint(1, 4))
    for apex, nodes in [("-", None), (apex, document.subtree(apex))]:
        for algorithm in MODES:
            for comments in (0, 1):
                yield algorithm, comments, apex, "-", [], nodes
                if algorithm == "exclusive":
                    yield algorithm, comments, apex, "-", prefixes, nodes
    outer = r.choice(documents.ids[: 1 + len(documents.ids) // 2])
    without = documents.within(outer)
    if without:
        nodes = document.subtree(outer, without)
        for algorithm in MODES:
            yield algorithm, 0, outer, without, [], nodes


def main(count, seed):
    documents = Documents(seed)
    out = sys.stdout.buffer
    for _ in range(count):
        source = documents.next()
        out.write(b"doc %d\n%s\n" % (len(source), source))
        with Document(source) as document:
            for algorithm, comments, apex, without, prefixes, nodes in forms(documents, document):
                canonical = document.canonical(nodes, algorithm, comments, prefixes)
                head = "form %s %d %s %s %s %d\n" % (
                    algorithm, comments, apex, without, ",".join(prefixes) or "-", len(canonical))
                out.write(head.encode() + canonical + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
