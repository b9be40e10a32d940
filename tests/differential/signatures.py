#!/usr/bin/env python3
"""Signatures exchanged with libxmlsec1, for crates/xmlsec/tests/signatures.rs.

signatures.py keys FOLDER            keys and certificates, one pair a kind
signatures.py sign FOLDER COUNT SEED documents signed by libxmlsec1: `cert NAME LENGTH` and PEM, `signed NAME LENGTH` and a document
signatures.py plain COUNT SEED       documents for us to sign: `doc LENGTH` and the source
signatures.py verify FOLDER FILE     judges what we signed: records as `sign` writes them
"""
import datetime
import pathlib
import sys

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from documents import PREFIXES, Documents

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
C14N = [EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"]
ENVELOPED = DS + "enveloped-signature"
DIGESTS = ["http://www.w3.org/2001/04/xmlenc#sha256", MORE + "sha384", "http://www.w3.org/2001/04/xmlenc#sha512"]
METHODS = {
    "rsa": [MORE + "rsa-sha256", MORE + "rsa-sha384", MORE + "rsa-sha512",
            "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"],
    "p256": [MORE + "ecdsa-sha256"],
    "p384": [MORE + "ecdsa-sha384"],
}


def make_keys(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, key in [("rsa", rsa.generate_private_key(65537, 2048)), ("p256", ec.generate_private_key(ec.SECP256R1())),
                      ("p384", ec.generate_private_key(ec.SECP384R1()))]:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        start = datetime.datetime(2020, 1, 1)
        certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                       .serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2049))
                       .sign(key, hashes.SHA256()))
        (folder / f"{name}.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def method(r, name, element):
    """An element that names a canonicalisation, in any of its forms."""
    algorithm = r.choice(C14N) + r.choice(["", "WithComments"])
    if algorithm.endswith("WithComments") and not algorithm.startswith(EXCLUSIVE):
        algorithm = algorithm.replace("WithComments", "#WithComments")
    child = etree.SubElement(element, f"{{{DS}}}{name}", Algorithm=algorithm)
    if algorithm.startswith(EXCLUSIVE) and r.random() < 0.5:
        etree.SubElement(child, f"{{{EXCLUSIVE}}}InclusiveNamespaces", nsmap={"ec": EXCLUSIVE}).set(
            "PrefixList", " ".join(r.sample(PREFIXES + ["#default", "ds", "unknown"], r.randint(1, 4))))


def template(r, key, references):
    def sub(parent, name, **attributes):
        return etree.SubElement(parent, f"{{{DS}}}{name}", **attributes)

    signature = etree.Element(f"{{{DS}}}Signature", nsmap={r.choice([None, "ds", "a"]): DS})
    info = sub(signature, "SignedInfo")
    method(r, "CanonicalizationMethod", info)
    sub(info, "SignatureMethod", Algorithm=r.choice(METHODS[key]))
    for uri, enveloped in references:
        reference = sub(info, "Reference", URI=uri)
        implicit = r.random() < 0.15
        if enveloped or not implicit:
            transforms = sub(reference, "Transforms")
            if enveloped:
                sub(transforms, "Transform", Algorithm=ENVELOPED)
            if not implicit:
                method(r, "Transform", transforms)
        sub(reference, "DigestMethod", Algorithm=r.choice(DIGESTS))
        sub(reference, "DigestValue")
    sub(signature, "SignatureValue")
    return signature


def references(r, root, parent):
    elements = list(root.iter("*"))
    above = set(parent.iterancestors()) | {parent}
    chosen = [(f"#{element.get('Id')}", element in above)
              for element in r.sample(elements, min(len(elements), r.randint(1, 3)))]
    if r.random() < 0.2:
        chosen = [("", True)] + [pair for pair in chosen if pair[0] != "#" + root.get("Id")]
    return chosen


def context(root, key):
    context = xmlsec.SignatureContext()
    context.key = key
    for element in root.iter("*"):
        if "Id" in element.attrib:
            context.register_id(element, "Id")
    return context


def sign(folder, count, seed):
    documents, out = Documents(seed), sys.stdout.buffer
    r = documents.random
    keys = {}
    for name in METHODS:
        keys[name] = xmlsec.Key.from_file(str(folder / f"{name}.key"), xmlsec.constants.KeyDataFormatPem)
        record(out, f"cert {name}", (folder / f"{name}.crt").read_bytes())
    for _ in range(count):
        root = etree.fromstring(documents.next(), etree.XMLParser(strip_cdata=False))
        parent = r.choice(list(root.iter("*")))
        name = r.choice(list(METHODS))
        signature = template(r, name, references(r, root, parent))
        parent.insert(r.randint(0, len(parent)), signature)
        context(root, keys[name]).sign(signature)
        record(out, f"signed {name}", etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8"))


def plain(count, seed):
    documents = Documents(seed)
    for _ in range(count):
        record(sys.stdout.buffer, "doc", documents.next())


def verify(folder, file):
    keys = {name: xmlsec.Key.from_file(str(folder / f"{name}.crt"), xmlsec.constants.KeyDataFormatCertPem) for name in METHODS}
    count = 0
    with open(file, "rb") as records:
        while head := records.readline():
            _, name, length = head.split()
            source = records.read(int(length) + 1)[:-1]
            root = etree.fromstring(source, etree.XMLParser(strip_cdata=False))
            try:
                context(root, keys[name.decode()]).verify(root.find(f".//{{{DS}}}Signature"))
            except xmlsec.Error as error:
                sys.exit(f"libxmlsec1 refuses what we signed: {error}\n{source.decode()}")
            count += 1
    print(f"{count} signatures of ours verified by libxmlsec1")
    if not count:
        sys.exit("none came")


def record(out, head, data):
    out.write(b"%s %d\n%s\n" % (head.encode(), len(data), data))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "keys":
        make_keys(pathlib.Path(arguments[0]))
    elif command == "sign":
        sign(pathlib.Path(arguments[0]), int(arguments[1]), int(arguments[2]))
    elif command == "plain":
        plain(int(arguments[0]), int(arguments[1]))
    elif command == "verify":
        verify(pathlib.Path(arguments[0]), arguments[1])
    else:
        sys.exit(__doc__)
