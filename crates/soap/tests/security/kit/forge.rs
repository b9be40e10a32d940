//! Messages signed by hand: every piece can be replaced, so that a wrong message is still well signed.

use super::{DS, ECDSA_SHA256, ECDSA_SHA384, EXC, Identity, RSA_SHA256, SHA256, SOAP11, WSSE, WSU, X509V3};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{Id, PKey};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use xmlsec::c14n::{Method, canonicalize};
use xmlsec::{Document, Element, Limits};

/// One reference of the signature.
#[derive(Clone)]
pub(crate) struct Ref {
    pub(crate) uri: String,
    pub(crate) transforms: String,
    pub(crate) digest_uri: String,
    /// Instead of the computed one.
    pub(crate) value: Option<String>,
}

impl Ref {
    pub(crate) fn to(id: &str) -> Self {
        Self {
            uri: format!("#{id}"),
            transforms: format!("<ds:Transforms><ds:Transform Algorithm=\"{EXC}\"/></ds:Transforms>"),
            digest_uri: SHA256.to_owned(),
            value: None,
        }
    }

    pub(crate) fn transform(id: &str, transforms: &str) -> Self {
        Self { transforms: format!("<ds:Transforms>{transforms}</ds:Transforms>"), ..Self::to(id) }
    }
}

pub(crate) struct Forge<'a> {
    pub(crate) by: &'a Identity,
    /// The envelope, `{SIG}` where the signature goes.
    pub(crate) envelope: String,
    pub(crate) references: Vec<Ref>,
    pub(crate) canonicalization: String,
    pub(crate) method: String,
    /// Within SignatureMethod.
    pub(crate) parameters: String,
    pub(crate) key_info: String,
    /// After KeyInfo.
    pub(crate) more: String,
    /// What the signature value is made of, after the fact.
    pub(crate) value: Box<dyn Fn(Vec<u8>) -> Vec<u8> + 'a>,
    pub(crate) digest: MessageDigest,
    /// RSA-PSS instead of PKCS#1 v1.5.
    pub(crate) pss: Option<Pss>,
    /// An HMAC under this key instead of a signature.
    pub(crate) hmac_key: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Pss {
    pub(crate) hash: MessageDigest,
    pub(crate) mask: MessageDigest,
    pub(crate) salt_bytes: i32,
}

impl Default for Pss {
    fn default() -> Self {
        Self { hash: MessageDigest::sha256(), mask: MessageDigest::sha256(), salt_bytes: 32 }
    }
}

pub(crate) const PAYLOAD: &str = "<v1:GetStatusRequest xmlns:v1=\"http://socialsecurity.be/registeredmail/v1\">\
    <v1:Ticket>0123456789ABC</v1:Ticket></v1:GetStatusRequest>";

pub(crate) fn timestamp() -> String {
    "<wsu:Timestamp wsu:Id=\"T\"><wsu:Created>2026-03-01T11:59:58.123Z</wsu:Created>\
     <wsu:Expires>2026-03-01T12:04:58.123Z</wsu:Expires></wsu:Timestamp>"
        .to_owned()
}

impl<'a> Forge<'a> {
    pub(crate) fn new(by: &'a Identity) -> Self {
        let token = format!(
            "<wsse:BinarySecurityToken EncodingType=\"http://docs.oasis-open.org/wss/2004/01/\
             oasis-200401-wss-soap-message-security-1.0#Base64Binary\" ValueType=\"{X509V3}\" wsu:Id=\"X\">{}\
             </wsse:BinarySecurityToken>",
            by.base64()
        );
        Self {
            by,
            envelope: format!(
                "<soap:Envelope xmlns:soap=\"{SOAP11}\"><soap:Header><wsse:Security xmlns:wsse=\"{WSSE}\" \
                 xmlns:wsu=\"{WSU}\" soap:mustUnderstand=\"1\">{}{token}{{SIG}}</wsse:Security></soap:Header>\
                 <soap:Body xmlns:wsu=\"{WSU}\" wsu:Id=\"B\">{PAYLOAD}</soap:Body></soap:Envelope>",
                timestamp()
            ),
            references: vec![Ref::to("T"), Ref::to("B")],
            canonicalization: format!("<ds:CanonicalizationMethod Algorithm=\"{EXC}\"/>"),
            method: match (by.key.id(), by.key.bits()) {
                (Id::EC, 384) => ECDSA_SHA384,
                (Id::EC, _) => ECDSA_SHA256,
                _ => RSA_SHA256,
            }
            .to_owned(),
            parameters: String::new(),
            key_info: "<wsse:SecurityTokenReference wsu:Id=\"STR\"><wsse:Reference URI=\"#X\"/>\
                       </wsse:SecurityTokenReference>"
                .to_owned(),
            more: String::new(),
            value: Box::new(|value| value),
            digest: if by.key.bits() == 384 { MessageDigest::sha384() } else { MessageDigest::sha256() },
            pss: None,
            hmac_key: None,
        }
    }

    /// Replaces a piece of the envelope that is there.
    #[track_caller]
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.envelope.contains(from), "nothing to replace: {from}");
        self.envelope = self.envelope.replacen(from, to, 1);
        self
    }

    /// The token's element, as it stands.
    pub(crate) fn token(&self) -> String {
        let start = self.envelope.find("<wsse:BinarySecurityToken").expect("a token");
        let end = "</wsse:BinarySecurityToken>";
        let stop = self.envelope.find(end).expect("a token") + end.len();
        self.envelope[start..stop].to_owned()
    }

    /// A PKIPath of these instead of the lone certificate.
    pub(crate) fn with_path(self, path: &[&Identity]) -> Self {
        let der: Vec<u8> = path.iter().flat_map(|step| step.der()).collect();
        let length = u16::try_from(der.len()).expect("a few kilobytes").to_be_bytes();
        let der = [&[0x30, 0x82][..], &length, &der].concat();
        let token = self.by.base64();
        self.with(&token, &openssl::base64::encode_block(&der)).with("#X509v3", "#X509PKIPathv1")
    }

    /// No token in the header, another KeyInfo.
    pub(crate) fn named(self, key_info: &str) -> Self {
        let token = self.token();
        let mut forge = self.with(&token, "");
        forge.key_info = key_info.to_owned();
        forge
    }

    pub(crate) fn sign(&self) -> String {
        self.envelope.replacen("{SIG}", &self.signature(), 1)
    }

    /// The signature alone; ids are looked up in the envelope with the signature's own KeyInfo in place.
    pub(crate) fn signature(&self) -> String {
        let bare = format!(
            "<ds:Signature xmlns:ds=\"{DS}\"><ds:KeyInfo>{}</ds:KeyInfo></ds:Signature>",
            self.key_info
        );
        let document = read(&self.envelope.replacen("{SIG}", &bare, 1));
        let references: String = self.references.iter().map(|r| self.reference(r, &document)).collect();
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\">{}{}{references}</ds:SignedInfo>",
            self.canonicalization,
            self.method_element(),
        );
        let value = (self.value)(self.value_over(&canonical(read(&info).root(), &[])));
        format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{}<ds:SignatureValue>{}</ds:SignatureValue><ds:KeyInfo>{}</ds:KeyInfo>{}\
             </ds:Signature>",
            info.replacen(&format!(" xmlns:ds=\"{DS}\""), "", 1),
            openssl::base64::encode_block(&value),
            self.key_info,
            self.more,
        )
    }

    fn method_element(&self) -> String {
        let open = format!("<ds:SignatureMethod Algorithm=\"{}\"", self.method);
        match self.parameters.as_str() {
            "" => format!("{open}/>"),
            parameters => format!("{open}>{parameters}</ds:SignatureMethod>"),
        }
    }

    fn reference(&self, reference: &Ref, document: &Document) -> String {
        let id = reference.uri.trim_start_matches('#');
        let mut element = document.root().descendants_and_self().find(|element| {
            ["Id", "ID", "id"].iter().any(|name| {
                element
                    .attribute(Some(WSU), name)
                    .or_else(|| element.attribute(None, name))
                    .is_some_and(|v| v == id)
            })
        });
        if reference.transforms.contains("#STR-Transform") {
            element = document.root().descendants_and_self().find(|e| e.is(WSSE, "BinarySecurityToken"));
        }
        let prefixes =
            reference.transforms.split("PrefixList=\"").nth(1).and_then(|rest| rest.split('"').next());
        let prefixes: Vec<&str> = prefixes.unwrap_or_default().split_whitespace().collect();
        let value = reference.value.clone().unwrap_or_else(|| {
            let octets = element.map(|element| canonical(element, &prefixes)).unwrap_or_default();
            let digest = if reference.digest_uri.ends_with("sha1") {
                MessageDigest::sha1()
            } else if reference.digest_uri.ends_with("sha512") {
                MessageDigest::sha512()
            } else {
                MessageDigest::sha256()
            };
            openssl::base64::encode_block(&hash(digest, &octets).expect("digest"))
        });
        format!(
            "<ds:Reference URI=\"{}\">{}<ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue>{value}</ds:DigestValue>\
             </ds:Reference>",
            reference.uri, reference.transforms, reference.digest_uri
        )
    }

    fn value_over(&self, info: &[u8]) -> Vec<u8> {
        if let Some(key) = &self.hmac_key {
            let key = PKey::hmac(key).expect("a key");
            return Signer::new(self.digest, &key)
                .and_then(|mut s| s.sign_oneshot_to_vec(info))
                .expect("an HMAC");
        }
        let digest = self.pss.map_or(self.digest, |pss| pss.hash);
        let mut signer = Signer::new(digest, &self.by.key).expect("signer");
        if let Some(pss) = self.pss {
            signer.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
            signer.set_rsa_mgf1_md(pss.mask).expect("MGF1");
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(pss.salt_bytes)).expect("a salt");
        }
        signer.update(info).expect("update");
        let value = signer.sign_to_vec().expect("signed");
        if self.by.key.id() == Id::EC { fixed(&value, self.by.key.bits().div_ceil(8)) } else { value }
    }
}

/// r and s of a DER signature, each as long as the curve's order.
fn fixed(der: &[u8], half_bytes: u32) -> Vec<u8> {
    let half_bytes = i32::try_from(half_bytes).expect("a few bytes");
    let signature = EcdsaSig::from_der(der).expect("DER");
    let pad = |number: &openssl::bn::BigNumRef| number.to_vec_padded(half_bytes).expect("a half");
    [pad(signature.r()), pad(signature.s())].concat()
}

/// The DER form of r and s.
pub(crate) fn der(fixed: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| BigNum::from_slice(bytes).expect("number");
    EcdsaSig::from_private_components(number(&fixed[..32]), number(&fixed[32..]))
        .and_then(|signature| signature.to_der())
        .expect("DER")
}

fn read(xml: &str) -> Document {
    Document::parse(xml.as_bytes().to_vec(), &Limits::default()).expect(xml)
}

fn canonical(element: Element<'_>, prefixes: &[&str]) -> Vec<u8> {
    let mut octets = Vec::new();
    canonicalize(element, &Method::exclusive_with(prefixes.iter().copied()), &mut octets).expect("canonical");
    octets
}
