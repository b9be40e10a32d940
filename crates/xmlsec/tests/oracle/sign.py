#!/usr/bin/env python3
"""Writes signed-by-xmlsec1.xml and its certificate: a SOAP message signed by libxmlsec1, another implementation.

Run by hand: python3 sign.py KEY.pem CERT.pem (needs the PyPI packages xmlsec and lxml).
"""
import sys

import xmlsec
from lxml import etree

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
SOURCE = f"""<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:default">
  <soap:Header>
    <wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" soap:mustUnderstand="1">
      <wsu:Timestamp wsu:Id="TS-1"><wsu:Created>2026-11-21T05:00:00Z</wsu:Created></wsu:Timestamp>
    </wsse:Security>
  </soap:Header>
  <soap:Body xmlns:wsu="{WSU}" wsu:Id="id-2" xmlns:unused="urn:unused">
    <m:send xmlns:m="urn:m" z="1" m:a=" x&#9;y&#xD;&#10;z " b='"'><![CDATA[<&>]]>&#13;
      <inner xmlns=""/><inner/><?pi d?><!-- gone --></m:send>
  </soap:Body>
</soap:Envelope>"""


def main(key_path, certificate_path):
    root = etree.fromstring(SOURCE.encode())
    security = root.find(f".//{{{WSSE}}}Security")
    signature = xmlsec.template.create(
        root, xmlsec.constants.TransformExclC14N, xmlsec.constants.TransformRsaSha256, ns="ds")
    security.append(signature)
    for uri, digest in [("#TS-1", xmlsec.constants.TransformSha256), ("#id-2", xmlsec.constants.TransformSha512)]:
        reference = xmlsec.template.add_reference(signature, digest, uri=uri)
        xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    transform = signature.findall(".//{*}Transform")[0]
    etree.SubElement(transform, "{http://www.w3.org/2001/10/xml-exc-c14n#}InclusiveNamespaces",
                     nsmap={"ec": "http://www.w3.org/2001/10/xml-exc-c14n#"}).set("PrefixList", "wsse soap #default")
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(key_path, xmlsec.constants.KeyDataFormatPem)
    for element in root.iter("{*}Timestamp", "{*}Body"):
        context.register_id(element, "Id", WSU)
    context.sign(signature)
    with open("signed-by-xmlsec1.xml", "wb") as out:
        out.write(etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8"))
    with open("signed-by-xmlsec1.crt", "wb") as out:
        out.write(open(certificate_path, "rb").read())


if __name__ == "__main__":
    main(*sys.argv[1:])
