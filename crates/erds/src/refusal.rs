//! The contract's fault codes, and the refusal that carries one.
//!
//! Source: contract.md, "Faults".

mod remedy;

use serde::{Deserialize, Serialize};

/// What a caller did wrong (or what failed on our side), with what he can do about it.
///
/// `seen` never holds personal data: lengths and positions instead. Where detail would be an oracle
/// ([`Refusal::is_class_only`]), the caller gets the class alone and the journal the rest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code} [{check}] seen: {seen}; expected: {expected}; {remedy}")]
pub struct Refusal {
    /// The contract's code.
    pub code: FaultCode,
    /// The check that failed: stable, dotted.
    pub check: &'static str,
    /// What was seen.
    pub seen: String,
    /// What was expected.
    pub expected: String,
    /// What the caller can do.
    pub remedy: String,
}

impl Refusal {
    /// A refusal whose texts from outside are bounded and escaped here.
    pub fn new(code: FaultCode, check: &'static str, seen: &str, expected: &str, remedy: &str) -> Self {
        let bounded = crate::record::bounded;
        Self { code, check, seen: bounded(seen), expected: bounded(expected), remedy: bounded(remedy) }
    }

    /// Whether the caller is told the class alone: wrong signature value or key, unknown or denied sender, absent or
    /// foreign ticket, SAML subject.
    pub fn is_class_only(&self) -> bool {
        is_class_only(self.code, self.check)
    }
}

/// [`Refusal::is_class_only`] for a code and a check read back from a record.
pub fn is_class_only(code: FaultCode, check: &str) -> bool {
    code.is_oracle() || CLASS_ONLY_CHECKS.iter().any(|prefix| check.starts_with(prefix))
}

/// Checks under SOA-01001 whose detail would be an oracle.
const CLASS_ONLY_CHECKS: [&str; 6] = [
    "wss.signature.value",
    "wss.signature.key",
    "wss.token.unknown",
    "wss.token.unresolved",
    "wss.token.ambiguous",
    "wss.saml",
];

/// Whether the caller's request or the system's state is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// `BusinessError`.
    Business,
    /// `SystemError`.
    System,
}

/// Whose fault it is: `soapenv:Client` or `soapenv:Server`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultOrigin {
    /// The caller's.
    Consumer,
    /// Ours.
    Provider,
}

impl FaultOrigin {
    /// The `Origin` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        }
    }
}

/// The languages of a fault's `Message`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultLanguage {
    /// English.
    En,
    /// French.
    Fr,
    /// Dutch.
    Nl,
    /// German.
    De,
}

impl FaultLanguage {
    /// In the order in which a fault gives them.
    pub const ALL: [Self; 4] = [Self::En, Self::Fr, Self::Nl, Self::De];

    /// The value of `xml:lang`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::Nl => "nl",
            Self::De => "de",
        }
    }
}

/// One row a code: variant, wire name, kind, origin, retry, then the class in en, fr, nl, de.
macro_rules! fault_codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $kind:ident $origin:ident $retry:expr, $en:literal, $fr:literal, $nl:literal, $de:literal;)*) => {
        /// The contract's fault codes.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
        pub enum FaultCode {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl FaultCode {
            /// All of them, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Business or system.
            pub fn kind(self) -> FaultKind {
                match self { $(Self::$variant => FaultKind::$kind,)* }
            }

            /// Whose fault.
            pub fn origin(self) -> FaultOrigin {
                match self { $(Self::$variant => FaultOrigin::$origin,)* }
            }

            /// Whether the same request may succeed later; `None` where nothing is promised.
            pub fn retry(self) -> Option<bool> {
                match self { $(Self::$variant => $retry,)* }
            }

            /// The class, in words for a person.
            pub fn text(self, language: FaultLanguage) -> &'static str {
                match (self, language) {
                    $(
                        (Self::$variant, FaultLanguage::En) => $en,
                        (Self::$variant, FaultLanguage::Fr) => $fr,
                        (Self::$variant, FaultLanguage::Nl) => $nl,
                        (Self::$variant, FaultLanguage::De) => $de,
                    )*
                }
            }
        }
    };
}

fault_codes! {
    /// WS-Security: token, signature, timestamp, replay.
    Soa01001 "SOA-01001" System Consumer None,
        "The message's security was not accepted.",
        "La sécurité du message n'a pas été acceptée.",
        "De beveiliging van het bericht is niet aanvaard.",
        "Die Sicherheit der Nachricht wurde nicht anerkannt.";
    /// Access denied; wrong network zone, address or environment.
    Soa01002 "SOA-01002" System Consumer None,
        "Access is not granted.",
        "L'accès n'est pas accordé.",
        "De toegang is niet verleend.",
        "Der Zugang ist nicht gewährt.";
    /// Something of ours is broken.
    Soa02001 "SOA-02001" System Provider None,
        "The service failed; nothing was accepted.",
        "Le service a échoué ; rien n'a été accepté.",
        "De dienst heeft gefaald; er is niets aanvaard.",
        "Der Dienst ist ausgefallen; nichts wurde angenommen.";
    /// A dependency is away: come again.
    Soa02002 "SOA-02002" System Provider Some(true),
        "The service is not available for the moment; nothing was accepted. Please send the request again later.",
        "Le service n'est pas disponible pour le moment ; rien n'a été accepté. Veuillez renvoyer la requête plus tard.",
        "De dienst is momenteel niet beschikbaar; er is niets aanvaard. Gelieve de vraag later opnieuw te sturen.",
        "Der Dienst ist zurzeit nicht verfügbar; nichts wurde angenommen. Bitte senden Sie die Anfrage später erneut.";
    /// Malformed XML.
    Soa03001 "SOA-03001" System Consumer None,
        "The message is not well-formed XML.",
        "Le message n'est pas du XML bien formé.",
        "Het bericht is geen welgevormde XML.",
        "Die Nachricht ist kein wohlgeformtes XML.";
    /// Not SOAP.
    Soa03002 "SOA-03002" System Consumer None,
        "The message is not a SOAP envelope.",
        "Le message n'est pas une enveloppe SOAP.",
        "Het bericht is geen SOAP-envelop.",
        "Die Nachricht ist kein SOAP-Umschlag.";
    /// No Body.
    Soa03003 "SOA-03003" System Consumer None,
        "The message has no SOAP body, or an empty one.",
        "Le message n'a pas de corps SOAP, ou il est vide.",
        "Het bericht heeft geen SOAP-body, of een lege.",
        "Die Nachricht hat keinen SOAP-Body, oder er ist leer.";
    /// The attachments' form.
    Soa03004 "SOA-03004" System Consumer None,
        "The message's attachments are not in the agreed form.",
        "Les pièces jointes du message n'ont pas la forme convenue.",
        "De bijlagen van het bericht hebben niet de afgesproken vorm.",
        "Die Anlagen der Nachricht haben nicht die vereinbarte Form.";
    /// Unknown operation.
    Soa03005 "SOA-03005" System Consumer None,
        "The operation is not known.",
        "L'opération n'est pas connue.",
        "De operatie is niet gekend.",
        "Die Operation ist nicht bekannt.";
    /// Schema.
    Soa03006 "SOA-03006" System Consumer None,
        "The message does not follow the schema.",
        "Le message ne respecte pas le schéma.",
        "Het bericht volgt het schema niet.",
        "Die Nachricht entspricht nicht dem Schema.";
    /// The content's digest differs from the one signed.
    FileB01 "FILE_B01" Business Consumer Some(false),
        "A file differs from its signed digest.",
        "Un fichier diffère de son empreinte signée.",
        "Een bestand verschilt van zijn ondertekende hash.",
        "Eine Datei weicht von ihrem signierten Hashwert ab.";
    /// The digest's method is unknown.
    FileB02 "FILE_B02" Business Consumer Some(false),
        "The digest method is not known.",
        "La méthode d'empreinte n'est pas connue.",
        "De hashmethode is niet gekend.",
        "Die Hashmethode ist nicht bekannt.";
    /// SHA-1.
    FileB03 "FILE_B03" Business Consumer Some(false),
        "The digest method SHA-1 is no longer accepted.",
        "La méthode d'empreinte SHA-1 n'est plus acceptée.",
        "De hashmethode SHA-1 wordt niet meer aanvaard.",
        "Die Hashmethode SHA-1 wird nicht mehr angenommen.";
    /// The ticket is unknown or another's.
    RepoB01 "REPO_B01" Business Consumer Some(false),
        "No item of yours has this ticket.",
        "Aucun de vos envois ne porte ce ticket.",
        "Geen van uw zendingen heeft dit ticket.",
        "Keine Ihrer Sendungen trägt dieses Ticket.";
    /// The item is the sender's, and what was stored of it was erased when its retention ended.
    RepoB02 "REPO_B02" Business Consumer Some(false),
        "What was stored of this item was erased when its retention ended.",
        "Ce qui était conservé de cet envoi a été effacé à la fin de sa durée de conservation.",
        "Wat van deze zending bewaard werd, is gewist aan het einde van de bewaartermijn.",
        "Was von dieser Sendung aufbewahrt wurde, ist nach Ablauf der Aufbewahrungsfrist gelöscht worden.";
    /// The item is the sender's, and the fact that the proof would be of has not come about.
    RepoB03 "REPO_B03" Business Consumer None,
        "This item has no such proof.",
        "Cet envoi n'a pas de telle preuve.",
        "Deze zending heeft geen dergelijk bewijs.",
        "Diese Sendung hat keinen solchen Nachweis.";
    /// An identifier is invalid.
    EpostB01 "EPOST_B01" Business Consumer Some(false),
        "An identifier is not valid.",
        "Un identifiant n'est pas valide.",
        "Een identificatie is niet geldig.",
        "Eine Kennung ist nicht gültig.";
    /// The recipient's eBox is not activated.
    EpostB02 "EPOST_B02" Business Consumer Some(false),
        "The recipient's eBox is not activated.",
        "L'eBox du destinataire n'est pas activée.",
        "De eBox van de bestemmeling is niet geactiveerd.",
        "Die eBox des Empfängers ist nicht aktiviert.";
    /// The recipient does not prefer the eBox.
    EpostB03 "EPOST_B03" Business Consumer Some(false),
        "The recipient has not chosen the eBox as preferred channel.",
        "Le destinataire n'a pas choisi l'eBox comme canal préféré.",
        "De bestemmeling heeft de eBox niet als voorkeurkanaal gekozen.",
        "Der Empfänger hat die eBox nicht als bevorzugten Kanal gewählt.";
    /// The Token was used with other content.
    EpostB04 "EPOST_B04" Business Consumer Some(false),
        "The Token was already used for other content.",
        "Le Token a déjà servi pour un autre contenu.",
        "Het Token is al gebruikt voor een andere inhoud.",
        "Das Token wurde bereits für einen anderen Inhalt verwendet.";
    /// MIME type or size.
    EpostB05 "EPOST_B05" Business Consumer Some(false),
        "A file's MIME type or size is not accepted.",
        "Le type MIME ou la taille d'un fichier n'est pas accepté.",
        "Het MIME-type of de grootte van een bestand wordt niet aanvaard.",
        "Der MIME-Typ oder die Größe einer Datei wird nicht angenommen.";
    /// Malware.
    EpostB06 "EPOST_B06" Business Consumer Some(false),
        "Malware was found in a file.",
        "Un logiciel malveillant a été trouvé dans un fichier.",
        "In een bestand is malware gevonden.",
        "In einer Datei wurde Schadsoftware gefunden.";
    /// An attachment is missing or not declared.
    EpostB07 "EPOST_B07" Business Consumer Some(false),
        "An attachment is missing or not declared.",
        "Une pièce jointe manque ou n'est pas déclarée.",
        "Een bijlage ontbreekt of is niet aangegeven.",
        "Eine Anlage fehlt oder ist nicht angegeben.";
    /// The document type is not allowed to this sender.
    EpostB08 "EPOST_B08" Business Consumer Some(false),
        "The document type is not allowed.",
        "Le type de document n'est pas autorisé.",
        "Het documenttype is niet toegelaten.",
        "Der Dokumenttyp ist nicht erlaubt.";
    /// The recipient's channel cannot carry this item.
    EpostB09 "EPOST_B09" Business Consumer Some(false),
        "The recipient's channel cannot carry this item.",
        "Le canal du destinataire ne peut pas transporter cet envoi.",
        "Het kanaal van de bestemmeling kan deze zending niet vervoeren.",
        "Der Kanal des Empfängers kann diese Sendung nicht befördern.";
    /// The service's core failed.
    EpostT01 "EPOST_T01" System Provider None,
        "The service failed; nothing was accepted.",
        "Le service a échoué ; rien n'a été accepté.",
        "De dienst heeft gefaald; er is niets aanvaard.",
        "Der Dienst ist ausgefallen; nichts wurde angenommen.";
    /// The store of items failed.
    RepoT01 "REPO_T01" System Provider None,
        "The store of items failed.",
        "Le dépôt des envois a échoué.",
        "De opslag van de zendingen heeft gefaald.",
        "Der Speicher der Sendungen ist ausgefallen.";
    /// A file could not be handled.
    FileT02 "FILE_T02" System Provider None,
        "A file could not be handled.",
        "Un fichier n'a pas pu être traité.",
        "Een bestand kon niet worden verwerkt.",
        "Eine Datei konnte nicht verarbeitet werden.";
    /// The seal failed.
    SepiaT02 "SEPIA_T02" System Provider None,
        "The seal could not be made; nothing was accepted.",
        "Le cachet n'a pas pu être apposé ; rien n'a été accepté.",
        "Het zegel kon niet worden aangebracht; er is niets aanvaard.",
        "Das Siegel konnte nicht angebracht werden; nichts wurde angenommen.";
    /// No ticket could be drawn.
    TngT02 "TNG_T02" System Provider None,
        "No ticket could be drawn; nothing was accepted.",
        "Aucun ticket n'a pu être attribué ; rien n'a été accepté.",
        "Er kon geen ticket worden toegekend; er is niets aanvaard.",
        "Es konnte kein Ticket vergeben werden; nichts wurde angenommen.";
}

impl FaultCode {
    /// The code of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Whether every refusal under this code tells its class alone.
    pub fn is_oracle(self) -> bool {
        matches!(self, Self::Soa01002 | Self::RepoB01)
    }
}

impl std::fmt::Display for FaultCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_whole() {
        for &code in FaultCode::ALL {
            assert_eq!(FaultCode::from_name(code.as_str()), Some(code));
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
            let business = code.as_str().contains("_B");
            assert_eq!(code.kind() == FaultKind::Business, business, "{code}");
            let provider = code.as_str().starts_with("SOA-02") || code.as_str().contains("_T");
            assert_eq!(code.origin() == FaultOrigin::Provider, provider, "{code}");
            for language in FaultLanguage::ALL {
                assert!(code.text(language).ends_with('.'), "{code} {}", language.as_str());
                assert!(code.remedy(language).ends_with('.'), "{code} {}", language.as_str());
            }
            let said = FaultLanguage::ALL.map(|language| (code.text(language), code.remedy(language)));
            let differ =
                |one: usize, other: usize| said[one].0 != said[other].0 && said[one].1 != said[other].1;
            assert!(
                (0..4).all(|one| (0..one).all(|other| differ(one, other))),
                "{code}: one text for two languages"
            );
        }
        assert_eq!(FaultCode::ALL.len(), 30);
        assert_eq!(FaultCode::Soa02002.retry(), Some(true));
    }

    #[test]
    fn oracles_tell_their_class_alone() {
        let class_only = |code, check| Refusal::new(code, check, "", "", "").is_class_only();
        assert!(class_only(FaultCode::RepoB01, "ticket"));
        assert!(class_only(FaultCode::Soa01002, "uam.denied"));
        assert!(class_only(FaultCode::Soa01001, "wss.signature.value"));
        assert!(!class_only(FaultCode::Soa01001, "wss.timestamp.stale"));
    }

    #[test]
    fn outside_text_is_bounded() {
        let refusal = Refusal::new(FaultCode::Soa03006, "schema", &"x\n".repeat(5000), "", "");
        assert!(refusal.seen.chars().count() <= 501);
        assert!(!refusal.seen.contains('\n'));
    }
}
