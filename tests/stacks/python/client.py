"""A plain-Python sender: SOAP with Attachments over mutual TLS, signed by hand, proofs saved. Contract A, and B's getProof.

    client.py sandbox.json OUT        one command a line on standard input (tests/stacks/runs), one result a line on standard output

Every message goes to OUT/raw, every proof to OUT/proofs."""

import base64
import hashlib
import http.client
import json
import pathlib
import ssl
import sys
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree

import signing
import swa

V1 = "http://socialsecurity.be/registeredmail/v1"
V2 = "urn:epost:registeredmail:v2"
TYPES = "http://socialsecurity.be/registeredmail/types/v1"
MONITORING = "http://services.fgov.be/monitoring/v1"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
NS = {"v1": V1, "v2": V2, "t": TYPES, "m": MONITORING, "s": signing.SOAP}
# Wrong on purpose in what a schema and a list of parts can tell: not judged.
INVALID = {"bad-schema", "undeclared-operation", "missing-part", "extra-part"}


class Fault(Exception):
    """What the service refused, by the fault's detail."""


class Client:
    def __init__(self, sandbox, out):
        self.folder = pathlib.Path(sandbox).resolve().parent
        self.setup = json.loads(pathlib.Path(sandbox).read_text())
        self.out = pathlib.Path(out)
        (self.out / "raw").mkdir(parents=True, exist_ok=True)
        self.messages = self.commands = 0
        self.last_item = self.last_ticket = self.last_receipt = self.last_bytes = None

    # The wire

    def post(self, party, path, content_type, body, valid=True):
        self.messages += 1
        self.keep("request" if valid else "invalid", content_type, body)
        context = ssl.create_default_context(cafile=self.folder / self.setup["tls_ca"])
        context.load_cert_chain(self.folder / party["cert"], self.folder / party["key"])
        address = urllib.parse.urlsplit(self.setup["endpoint"])
        connection = http.client.HTTPSConnection(address.hostname, address.port, context=context, timeout=30)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, body, {"Content-Type": content_type, "SOAPAction": '""'})
            answer = connection.getresponse()
            answered = answer.headers.get("Content-Type", ""), answer.read()
        finally:
            connection.close()
        if body is not None:
            self.keep("answer", *answered)
        return answer.status, *answered

    def keep(self, kind, content_type, body):
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        (self.out / "raw" / f"{self.messages:03}-{kind}").write_bytes(head + (body or b""))

    def call(self, party, path, content_type, body, valid=True):
        """Posts; gives the Body's child, the root part's bytes and the attached parts, or raises the fault."""
        status, answered, octets = self.post(party, path, content_type, body, valid)
        root, parts = swa.take_apart(answered, octets)
        payload = etree.fromstring(root).find("s:Body", NS)[0]
        if payload.tag == "{%s}Fault" % signing.SOAP:
            detail = payload.find("detail")[0]
            text = lambda name: detail.findtext("{*}" + name)
            if status != 500 or payload.findtext("faultstring") != text("Code"):
                raise ValueError(f"a fault's status is 500 and its faultstring the code: {status} {payload.findtext('faultstring')}")
            kind = etree.QName(detail).localname.removesuffix("Error").upper()
            raise Fault(f"{kind} {text('Code')} {text('Message')}")
        if status != 200:
            raise ValueError(f"status {status}")
        return payload, root, parts

    # The commands

    def answer(self, name, verb, *words):
        self.commands += 1
        groups = self.setup["senders"] | self.setup["strangers"]
        try:
            return getattr(self, "do_" + verb)(groups[name], *words)
        except Fault as fault:
            return f"FAULT {fault}"
        except (ssl.SSLError, ConnectionError) as error:
            return f"TLS {error}"
        except Exception as error:  # one bad result must not end the run
            return f"ERROR {type(error).__name__} {error}"

    def do_send(self, party, recipient, *changes):
        changes = set(changes)
        item = self.item(recipient, changes)
        return self.submit(party, item, changes)

    def do_resend(self, party, *changes):
        """The last item once more: signed anew, or (bytes) the very same request."""
        body = self.last_bytes if "bytes" in changes else self.request(party, self.last_item, set())
        payload, _, parts = self.call(party, self.path(), *body)
        ticket = payload.findtext("t:Receipt/t:Ticket", namespaces=NS)
        same = ticket == self.last_ticket and self.save(payload.find("t:Receipt/t:Document", NS), parts) == self.last_receipt
        return f"{'SAME' if same else 'DIFFERENT'} {ticket}"

    def do_status(self, party, ticket):
        return self.status(party, self.last_ticket if ticket == "last" else ticket)

    def do_health(self, party, kind):
        body = f'<m:HealthCheckRequest xmlns:m="{MONITORING}" type="{kind}"/>'
        payload, _, _ = self.call(party, self.path(), *self.signed(party, body, [], set()))
        level = payload.findtext("m:Status/m:Level", namespaces=NS)
        return f"HEALTH {level} checks {len(payload.findall('m:SanityCheck', NS))}"

    def do_proof(self, party, by, kind):
        """Contract B: a proof again, by the last item's Token or Ticket; the answer is signed, CRLs come with it."""
        known = escape(self.last_item["token"] if by == "Token" else self.last_ticket)
        body = (f'<v2:GetProofRequest xmlns:v2="{V2}"><v2:{by}>{known}</v2:{by}><v2:ProofType>{kind}</v2:ProofType>'
                "</v2:GetProofRequest>")
        root = signing.envelope(body, *self.keys(party))
        payload, root, _ = self.call(party, self.path("v2"), "text/xml; charset=utf-8", root)
        signing.verify_answer(root)
        proof = payload.find("v2:Proof", NS)
        if proof is None:
            return f"NONE {payload.findtext('v2:Status', namespaces=NS)}"
        content = base64.b64decode(proof.findtext("v2:Content", namespaces=NS))
        if hashlib.sha256(content).hexdigest() != proof.findtext("v2:Digest", namespaces=NS).lower():
            return "ERROR the answer's digest is not that of its content"
        name = proof.findtext("v2:FileName", namespaces=NS)
        crls = payload.findall("v2:Crl", NS)
        self.write(name, content, base64.b64decode(proof.findtext("v2:Signature", namespaces=NS)))
        for number, crl in enumerate(crls):
            (self.proofs() / f"{number}.crl").write_bytes(base64.b64decode(crl.text))
        same = kind == "DISPATCH" or content == self.last_receipt
        return f"PROOF {name} crls {len(crls)} {'same' if same else 'another'}"

    def do_fetch(self, party, query):
        """A contract document by GET: its root's name."""
        path, _, what = query.partition("?")
        status, content_type, octets = self.post(party, f"/RegisteredMail/{path}?{what}", "", None, valid=False)
        return f"{status} {content_type} {etree.QName(etree.fromstring(octets)).localname if status == 200 else ''}"

    # Their parts

    def path(self, version="v1"):
        return urllib.parse.urlsplit(self.setup["endpoint"]).path.replace("v1", version)

    def keys(self, party):
        key = serialization.load_pem_private_key((self.folder / party["key"]).read_bytes(), None)
        return x509.load_pem_x509_certificate((self.folder / party["cert"]).read_bytes()), key

    def signed(self, party, body, attachments, changes):
        return *swa.make(signing.envelope(body, *self.keys(party), changes), attachments, changes), not changes & INVALID

    def submit(self, party, item, changes):
        body = self.request(party, item, changes)
        payload, _, parts = self.call(party, self.path(), *body)
        receipt = payload.find("t:Receipt", NS)
        if receipt.findtext("t:Token", namespaces=NS) != item["token"]:
            return "ERROR another Token in the receipt"
        self.last_item, self.last_bytes = item, body
        self.last_ticket = receipt.findtext("t:Ticket", namespaces=NS)
        self.last_receipt = self.save(receipt.find("t:Document", NS), parts)
        for _ in range(150):
            status = self.status(party, self.last_ticket)
            if not status.startswith("PENDING"):
                return status
            time.sleep(0.1)
        return status

    def status(self, party, ticket):
        body = f'<v1:GetStatusRequest xmlns:v1="{V1}" xmlns:t="{TYPES}"><t:Ticket>{escape(ticket)}</t:Ticket></v1:GetStatusRequest>'
        payload, _, parts = self.call(party, self.path(), *self.signed(party, body, [], set()))
        status = payload.findtext("t:Status", namespaces=NS)
        proof = payload.find("t:ProofOfDispatch", NS)
        if proof is not None:
            self.save(proof, parts)
        if (status == "SENT") != (proof is not None):
            return "ERROR SENT and the proof of it do not go together"
        return f"{status} {payload.findtext('t:Ticket', namespaces=NS)}"

    def save(self, file, parts):
        """Saves an attached proof and its detached seal, and checks the digest that the answer states."""
        content = swa.find(file.findtext("t:Content", namespaces=NS), parts)
        if base64.b64decode(file.findtext("t:Digest/t:DigestValue", namespaces=NS)) != hashlib.sha256(content).digest():
            raise ValueError("the answer's digest is not that of its attachment")
        self.write(file.findtext("t:DownloadFileName", namespaces=NS), content,
                   base64.b64decode(file.findtext("t:Signature", namespaces=NS)))
        return content

    def proofs(self):
        folder = self.out / "proofs" / str(self.commands)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, name, content, seal):
        (self.proofs() / name).write_bytes(content)
        (self.proofs() / name.replace(".xml", ".p7s")).write_bytes(seal)

    def item(self, recipient, changes):
        """What is sent: a letter and an annex, or what the changes make of them."""
        text = "another letter" if "last-token" in changes else "letter of the Python client"
        identifier = self.setup["recipients"][recipient]
        if "bad-identifier" in changes:
            identifier = identifier[:-1] + str((int(identifier[-1]) + 1) % 10)
        letter = f"%PDF-1.4\n%{text}\n%%EOF\n".encode()
        annex = b"annex\r\n--\r\n\r\n--python\x00\xff\r\n" * (20_000 if "large" in changes else 1)
        letter_id, annex_id = f"letter:{uuid.uuid4()}@null" if "odd-ids" in changes else "letter@python", "annex@python"
        return {"token": self.last_item["token"] if "last-token" in changes else str(uuid.uuid4()),
                "recipient": recipient, "identifier": identifier, "quality": self.setup["quality_codes"][recipient],
                "letter": (letter_id, "application/pdf", letter), "annex": (annex_id, "application/octet-stream", annex)}

    def request(self, party, item, changes):
        citizen = item["recipient"].startswith("citizen")
        kind, name = ("Citizen", "INSS") if citizen else ("Enterprise", "CompanyID")
        letter, annex = item["letter"], item["annex"]
        digest, method = (hashlib.sha1, "SHA-1") if "sha1-digest" in changes else (hashlib.sha256, "SHA-256")
        body = f"""<v1:SendDocumentRequest xmlns:v1="{V1}" xmlns="{TYPES}" xmlns:xsi="{XSI}">
  <RegisteredMailItem>
    <Token>{item["token"]}</Token>
    <Recipient xsi:type="{kind}"><{name}>{item["identifier"]}</{name}><QualityCode>{item["quality"]}</QualityCode></Recipient>
    <Document>
      <Title>Lettre à l’assuré &lt;&amp; Co&gt;</Title>
      <Digest><DigestMethod>{method}</DigestMethod><DigestValue>{signing.b64(digest(letter[2]).digest())}</DigestValue></Digest>
      <DownloadFileName>letter.pdf</DownloadFileName><MIME>application/pdf</MIME><Type>LETTER</Type><Language>fr</Language>
      <Content>{self.reference(letter[0], changes)}</Content>
    </Document>
    <Annex>
      <Content>{self.reference(annex[0], changes)}</Content><Title>Annex</Title>
      <Digest><DigestMethod>SHA-512</DigestMethod><DigestValue>{signing.b64(hashlib.sha512(annex[2]).digest())}</DigestValue></Digest>
      <DownloadFileName>annex.bin</DownloadFileName>
    </Annex>
    <Meta><Type>dossier</Type><Value>2026-1</Value></Meta>
  </RegisteredMailItem>
  <CheckEboxStatus>ACTIVATED</CheckEboxStatus>
</v1:SendDocumentRequest>"""
        if "bad-schema" in changes:
            body = body.replace("<Type>LETTER</Type>", "")
        if "undeclared-operation" in changes:
            body = body.replace("SendDocumentRequest", "EraseDocumentRequest")
        attachments = [letter, annex]
        if "flip" in changes:
            attachments[0] = (letter[0], letter[1], letter[2][:-1] + b" ")
        if "missing-part" in changes:
            attachments.pop()
        if "extra-part" in changes:
            attachments.append(("stray@python", "text/plain", b"stray"))
        return self.signed(party, body, attachments, changes)

    @staticmethod
    def reference(content_id, changes):
        if "bare-cid" in changes:
            return content_id
        return "cid:" + (urllib.parse.quote(content_id, safe="") if "percent-cid" in changes else content_id)


if __name__ == "__main__":
    client = Client(*sys.argv[1:3])
    for line in sys.stdin:
        print(" ".join(client.answer(*line.split()).split()), flush=True)
