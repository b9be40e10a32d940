"""WS-Security X.509 by hand: what an institution writes whose platform has no stack for it. Standard library, lxml, cryptography."""

import base64
import datetime
import hashlib
import uuid
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
DS = "http://www.w3.org/2000/09/xmldsig#"
OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE = OASIS + "wssecurity-secext-1.0.xsd"
WSU = OASIS + "wssecurity-utility-1.0.xsd"
X509V3 = OASIS + "x509-token-profile-1.0#X509v3"
BASE64 = OASIS + "soap-message-security-1.0#Base64Binary"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = DS + "rsa-sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = DS + "sha1"
NS = {"s": SOAP, "ds": DS, "wsse": WSSE, "wsu": WSU}


def canonical(element, algorithm=EXCLUSIVE, prefixes=None):
    """The canonical bytes of one element."""
    return etree.tostring(element, method="c14n", exclusive=algorithm == EXCLUSIVE, inclusive_ns_prefixes=prefixes)


def key_reference(certificate, token_id, form):
    """KeyInfo's content: how the signature names its certificate (clients.md 5)."""
    issuer = escape(certificate.issuer.rfc4514_string())
    data = lambda inside: f"<ds:X509Data>{inside}</ds:X509Data>"
    token = lambda inside: f'<wsse:SecurityTokenReference>{inside}</wsse:SecurityTokenReference>'
    identifier = lambda kind, octets: token(
        f'<wsse:KeyIdentifier EncodingType="{BASE64}" ValueType="{kind}">{b64(octets)}</wsse:KeyIdentifier>')
    der = certificate.public_bytes(serialization.Encoding.DER)
    if form == "key-identifier":
        return identifier(X509V3, der)
    if form == "thumbprint":
        kind = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
        return identifier(kind, hashlib.sha1(der).digest())
    if form == "ski":
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return identifier(OASIS + "x509-token-profile-1.0#X509SubjectKeyIdentifier", extension.value.digest)
    if form == "x509-data":
        return token(data(f"<ds:X509Certificate>{b64(der)}</ds:X509Certificate>"))
    if form == "issuer-serial":
        return token(data(f"<ds:X509IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>"
                          f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber></ds:X509IssuerSerial>"))
    return token(f'<wsse:Reference URI="#{token_id}" ValueType="{X509V3}"/>')


REFERENCE_FORMS = {"key-identifier", "thumbprint", "ski", "x509-data", "issuer-serial"}


def envelope(body, certificate, key, changes=frozenset()):
    """A signed SOAP 1.1 envelope around `body` (XML text), as bytes; `changes` says what to do otherwise, or wrongly."""
    suffix = uuid.uuid4().hex
    form = next(iter(REFERENCE_FORMS & changes), "token")
    now = datetime.datetime.now(datetime.timezone.utc)
    if "stale" in changes:
        now -= datetime.timedelta(hours=1)
    if "future" in changes:
        now += datetime.timedelta(hours=1)
    expires = now + datetime.timedelta(seconds=300)
    instant = lambda at: at.strftime("%Y-%m-%dT%H:%M:%S") + ("" if "whole-seconds" in changes else f".{at.microsecond:06d}") + "Z"
    timestamp = (f'<wsu:Timestamp wsu:Id="TS-{suffix}"><wsu:Created>{instant(now)}</wsu:Created>'
                 f"<wsu:Expires>{instant(expires)}</wsu:Expires></wsu:Timestamp>")
    token = (f'<wsse:BinarySecurityToken EncodingType="{BASE64}" ValueType="{X509V3}" wsu:Id="X509-{suffix}">'
             f"{b64(certificate.public_bytes(serialization.Encoding.DER))}</wsse:BinarySecurityToken>")
    parts = [] if "no-timestamp" in changes else [timestamp]
    parts += [] if form != "token" else [token]
    root = etree.fromstring(
        f'<soapenv:Envelope xmlns:soapenv="{SOAP}"><soapenv:Header><wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" '
        f'xmlns:ds="{DS}" soapenv:mustUnderstand="1">{"".join(parts)}</wsse:Security></soapenv:Header>'
        f'<soapenv:Body xmlns:wsu="{WSU}" wsu:Id="Body-{suffix}">{body}</soapenv:Body></soapenv:Envelope>')
    security = root.find(".//wsse:Security", NS)
    signed = []
    if "unsigned-body" not in changes:
        signed.append(root.find("s:Body", NS))
    if not changes & {"no-timestamp", "unsigned-timestamp"}:
        signed.append(root.find(".//wsu:Timestamp", NS))
    if form == "token" and "unsigned-token" not in changes:
        signed.append(root.find(".//wsse:BinarySecurityToken", NS))
    signature = sign(root, security, signed, key, key_reference(certificate, f"X509-{suffix}", form), changes)
    if "signature-first" in changes:
        security.insert(0, signature)
    if "changed-body" in changes:
        root.find(".//{*}Title").text += "!"
    if "changed-signature" in changes:
        value = signature.find("ds:SignatureValue", NS)
        octets = bytearray(base64.b64decode(value.text))
        octets[20] ^= 1
        value.text = b64(octets)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def sign(root, security, elements, key, key_info, changes):
    """Appends ds:Signature over `elements` to the Security header."""
    c14n = INCLUSIVE if "inclusive" in changes else EXCLUSIVE
    prefixes = ["soapenv"] if "prefix-list" in changes else None
    listed = f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="soapenv"/>' if prefixes else ""
    digest_uri, digest = (SHA1, hashlib.sha1) if "sha1-references" in changes else (SHA256, hashlib.sha256)
    references = ""
    for element in elements:
        octets = digest(canonical(element, c14n, prefixes)).digest()
        references += (f'<ds:Reference URI="#{element.get("{%s}Id" % WSU)}"><ds:Transforms><ds:Transform Algorithm="{c14n}">{listed}'
                       f'</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="{digest_uri}"/>'
                       f"<ds:DigestValue>{b64(octets)}</ds:DigestValue></ds:Reference>")
    algorithm, scheme = (RSA_SHA1, hashes.SHA1()) if "sha1" in changes else (RSA_SHA256, hashes.SHA256())
    namespaces = f'xmlns:wsse="{WSSE}" xmlns:ds="{DS}"'
    signature = etree.fromstring(
        f'<x {namespaces}><ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{c14n}">{listed}'
        f'</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="{algorithm}"/>{references}</ds:SignedInfo>'
        f"<ds:SignatureValue/><ds:KeyInfo>{key_info}</ds:KeyInfo></ds:Signature></x>")[0]
    security.append(signature)
    value = key.sign(canonical(signature.find("ds:SignedInfo", NS), c14n, prefixes), padding.PKCS1v15(), scheme)
    signature.find("ds:SignatureValue", NS).text = b64(value)
    return signature


def verify_answer(octets):
    """Checks a signed answer of contract B by its own token: every reference, the value, and that Body and Timestamp are covered.

    Returns the token's subject. Whom to trust is the caller's TLS here: the answer came over it."""
    root = etree.fromstring(octets)
    signature = root.find("s:Header/wsse:Security/ds:Signature", NS)
    if signature is None:
        raise ValueError("the answer is not signed")
    by_id = {element.get("{%s}Id" % WSU): element for element in root.iter() if element.get("{%s}Id" % WSU)}
    covered = []
    for reference in signature.iterfind("ds:SignedInfo/ds:Reference", NS):
        element = by_id[reference.get("URI")[1:]]
        transform = reference.find("ds:Transforms/ds:Transform", NS)
        if reference.find("ds:DigestMethod", NS).get("Algorithm") != SHA256 or transform.get("Algorithm") != EXCLUSIVE:
            raise ValueError("an algorithm that old stacks do not take")
        digest = hashlib.sha256(canonical(element, EXCLUSIVE, prefix_list(transform))).digest()
        if b64(digest) != reference.find("ds:DigestValue", NS).text:
            raise ValueError(f"digest of {element.tag}")
        covered.append(element)
    if root.find("s:Body", NS) not in covered or root.find(".//wsu:Timestamp", NS) not in covered:
        raise ValueError("Body and Timestamp must be signed")
    token = root.find(".//wsse:BinarySecurityToken", NS)
    certificate = x509.load_der_x509_certificate(base64.b64decode(token.text))
    info = signature.find("ds:SignedInfo", NS)
    octets = canonical(info, EXCLUSIVE, prefix_list(info.find("ds:CanonicalizationMethod", NS)))
    value = base64.b64decode(signature.find("ds:SignatureValue", NS).text)
    public = certificate.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = len(value) // 2
        der = utils.encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
        public.verify(der, octets, ec.ECDSA(hashes.SHA256()))
    else:
        public.verify(value, octets, padding.PKCS1v15(), hashes.SHA256())
    return certificate.subject.rfc4514_string()


def prefix_list(parent):
    listed = parent.find("{%s}InclusiveNamespaces" % EXCLUSIVE)
    return listed.get("PrefixList").split() if listed is not None else None


def b64(octets):
    return base64.b64encode(octets).decode()
