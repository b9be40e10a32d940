"""Judges what clients kept: every request, answer, fault and proof against the schemas in wsdl/, by lxml.

    validate.py WSDL_FOLDER OUT [KIND...]        OUT: a client's output folder (raw/, proofs/); KIND: what must be among it"""

import base64
import collections
import pathlib
import sys
import urllib.parse

from lxml import etree

import signing
import swa

XOP = "http://www.w3.org/2004/08/xop/include"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
V2 = "urn:epost:registeredmail:v2"
CONTENT = "{http://socialsecurity.be/registeredmail/types/v1}Content"


def schemas(folder):
    """One schema a contract, of all its files: a message may need any of them."""
    def of(version):
        imports = ""
        for file in sorted((folder / version).glob("*.xsd")):
            namespace = etree.parse(file).getroot().get("targetNamespace")
            imports += f'<xs:import namespace="{namespace}" schemaLocation="{file.resolve().as_uri()}"/>'
        return etree.XMLSchema(etree.fromstring(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'))
    return {version: of(version) for version in ("v1", "v2")}


def expanded(root, parts):
    """The tree with each xop:Include replaced by what it stands for; gives the ids of the parts that it used."""
    used = set()
    for include in root.findall(".//{%s}Include" % XOP):
        name = urllib.parse.unquote(include.get("href").removeprefix("cid:"))
        used.add(name)
        include.getparent().text = base64.b64encode(parts[name]).decode()
        include.getparent().remove(include)
    return used


def check(condition, what):
    if not condition:
        raise ValueError(what)


def of_message(octets, judge):
    """Validates one message; gives what it is called in the count."""
    head, _, body = octets.partition(b"\r\n\r\n")
    content_type = head.decode().partition(": ")[2]
    root, parts = swa.take_apart(content_type, body)
    tree = etree.fromstring(root)
    used = expanded(tree, parts)
    soap = etree.QName(tree).namespace
    check(tree.tag in ("{%s}Envelope" % signing.SOAP, "{%s}Envelope" % SOAP12), f"not an envelope: {tree.tag}")
    media = "application/soap+xml" if soap == SOAP12 else "text/xml"
    check(media in content_type.lower() or "xop" in content_type, f"{media} is not in {content_type}")
    children = [etree.QName(child).localname for child in tree]
    check(children in (["Body"], ["Header", "Body"]), f"the Envelope's children: {children}")
    payload = tree[-1][0]
    check(len(tree[-1]) == 1, "one element in the Body")
    if payload.tag == "{%s}Fault" % SOAP12:
        return of_fault12(payload, judge)
    if payload.tag == "{%s}Fault" % soap:
        check([child.tag for child in payload] == ["faultcode", "faultstring", "detail"], "a fault's children")
        prefix, _, code = payload.findtext("faultcode").rpartition(":")
        check(payload.find("faultcode").nsmap.get(prefix or None) == signing.SOAP, "faultcode is a QName of SOAP's namespace")
        check(code in ("Client", "Server"), f"faultcode {code}")
        return of_detail(payload.find("detail"), payload.findtext("faultstring"), judge)
    judge(payload)
    for content in payload.iter(CONTENT):
        name = content.text.removeprefix("cid:")
        used.add(name if name in parts else urllib.parse.unquote(name))
    check(used == set(parts), f"what is named and what is attached differ: {used ^ set(parts)}")
    return etree.QName(payload).localname


def of_fault12(fault, judge):
    names = [etree.QName(child) for child in fault]
    check([(name.namespace, name.localname) for name in names] == [(SOAP12, name) for name in ("Code", "Reason", "Detail")], "a fault's children")
    prefix, _, code = fault.findtext("{*}Code/{*}Value").rpartition(":")
    check(fault.nsmap.get(prefix or None) == SOAP12 and code in ("Sender", "Receiver"), f"Value {code}")
    return of_detail(fault[2], fault.findtext("{*}Reason/{*}Text"), judge)


def of_detail(detail, reason, judge):
    check(len(detail) == 1, "one element in the detail")
    check(reason == detail[0].findtext("{*}Code"), "the reason is the code")
    languages = {message.get("{http://www.w3.org/XML/1998/namespace}lang") for message in detail[0].findall("{*}Message")}
    check(languages >= {"en", "fr", "nl", "de"}, f"languages of the text: {languages}")
    judge(detail[0])
    return "fault " + etree.QName(detail[0]).localname


ALL_OF_CONTRACT_A = {"SendDocumentRequest", "SendDocumentResponse", "GetStatusRequest", "GetStatusResponse", "HealthCheckRequest",
                     "HealthCheckResponse", "fault BusinessError", "fault SystemError", "ReceiptContent", "ProofOfDispatchContent"}


def main(folder, out, *wanted):
    by_contract = schemas(pathlib.Path(folder))
    counts, failures = collections.Counter(), []

    def judge(element):
        # By itself, as a document: xsi:type and prefixes are resolved from its own declarations.
        alone = etree.fromstring(etree.tostring(element, with_tail=False))
        version = "v2" if etree.QName(element).namespace == V2 else "v1"
        by_contract[version].assertValid(alone)

    def attempt(file, judged):
        try:
            counts[judged(file.read_bytes())] += 1
        except (etree.LxmlError, ValueError, KeyError) as error:
            failures.append(f"{file}: {type(error).__name__} {error}")

    def of_proof(octets):
        root = etree.fromstring(octets)
        judge(root)
        return etree.QName(root).localname

    out, wanted = pathlib.Path(out), set(wanted) or ALL_OF_CONTRACT_A
    for file in sorted(out.glob("raw/*")):
        if file.name.endswith(("-request", "-answer")):
            attempt(file, lambda octets: of_message(octets, judge))
    for file in sorted(out.glob("proofs/*/*.xml")):
        attempt(file, of_proof)
    for name, count in sorted(counts.items()):
        print(f"      {count:4} {name}")
    for failure in failures:
        print("FAIL ", failure)
    if wanted - set(counts):
        print("FAIL  nothing was judged of:", ", ".join(sorted(wanted - set(counts))))
    return 1 if failures or wanted - set(counts) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
