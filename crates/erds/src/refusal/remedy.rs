//! What a caller can do about each code, in every language of a fault.
//!
//! A text follows from the code alone, so that it is told where nothing else may be: it says no more than the code does.

use super::{FaultCode, FaultLanguage};

/// One row a code, or codes with one remedy: what to do in en, fr, nl, de.
macro_rules! remedies {
    ($($($variant:ident)|+ $en:literal, $fr:literal, $nl:literal, $de:literal;)*) => {
        impl FaultCode {
            /// What to do, for a person; the same for every refusal under this code.
            pub fn remedy(self, language: FaultLanguage) -> &'static str {
                let [en, fr, nl, de] = match self {
                    $($(Self::$variant)|+ => [$en, $fr, $nl, $de],)*
                };
                match language {
                    FaultLanguage::En => en,
                    FaultLanguage::Fr => fr,
                    FaultLanguage::Nl => nl,
                    FaultLanguage::De => de,
                }
            }
        }
    };
}

remedies! {
    Soa01001
        "Sign last, with the certificate that you connect with, and change nothing afterwards.",
        "Signez en dernier lieu, avec le certificat de votre connexion, et ne changez plus rien ensuite.",
        "Onderteken als laatste stap, met het certificaat van uw verbinding, en wijzig daarna niets meer.",
        "Signieren Sie zuletzt, mit dem Zertifikat Ihrer Verbindung, und ändern Sie danach nichts mehr.";
    Soa01002
        "Use this environment's certificate; ask the platform for the grant, naming institution, application and transaction.",
        "Utilisez le certificat de cet environnement ; demandez l'autorisation à la plateforme, en nommant institution, application et transaction.",
        "Gebruik het certificaat van deze omgeving; vraag de machtiging aan het platform, met instelling, toepassing en transactie.",
        "Verwenden Sie das Zertifikat dieser Umgebung; beantragen Sie die Berechtigung bei der Plattform, mit Einrichtung, Anwendung und Transaktion.";
    Soa02001 | EpostT01 | RepoT01 | FileT02 | SepiaT02 | TngT02
        "Send again later with the same Token; if it stays, give the fault's Id to the helpdesk.",
        "Renvoyez plus tard avec le même Token ; si l'erreur persiste, donnez l'Id de l'erreur au helpdesk.",
        "Stuur later opnieuw met hetzelfde Token; blijft het zo, geef dan de Id van de fout door aan de helpdesk.",
        "Senden Sie später mit demselben Token erneut; bleibt es dabei, nennen Sie dem Helpdesk die Id des Fehlers.";
    Soa02002
        "Send the same message again after some minutes, signed anew; the Token makes it one item.",
        "Renvoyez le même message après quelques minutes, signé à nouveau ; le Token en fait un seul envoi.",
        "Stuur hetzelfde bericht na enkele minuten opnieuw, opnieuw ondertekend; het Token maakt er één zending van.",
        "Senden Sie dieselbe Nachricht nach einigen Minuten neu signiert; das Token macht daraus eine einzige Sendung.";
    Soa03001
        "Send what your XML library writes, as UTF-8 and without DOCTYPE.",
        "Envoyez ce qu'écrit votre bibliothèque XML, en UTF-8 et sans DOCTYPE.",
        "Stuur wat uw XML-bibliotheek schrijft, in UTF-8 en zonder DOCTYPE.",
        "Senden Sie, was Ihre XML-Bibliothek schreibt, in UTF-8 und ohne DOCTYPE.";
    Soa03002
        "Send SOAP 1.1 to contract A; leave out headers that the WSDL does not know, or their mustUnderstand.",
        "Envoyez du SOAP 1.1 au contrat A ; omettez les en-têtes que le WSDL ne connaît pas, ou leur mustUnderstand.",
        "Stuur SOAP 1.1 naar contract A; laat headers weg die de WSDL niet kent, of hun mustUnderstand.",
        "Senden Sie SOAP 1.1 an Vertrag A; lassen Sie Header weg, die die WSDL nicht kennt, oder deren mustUnderstand.";
    Soa03003
        "Put the one element of the operation into the Body.",
        "Placez dans le Body l'élément unique de l'opération.",
        "Plaats in de Body het ene element van de operatie.",
        "Setzen Sie in den Body das eine Element der Operation.";
    Soa03004
        "Give each part its own Content-ID, name each once, send the documents as binary.",
        "Donnez à chaque partie son propre Content-ID, nommez chacune une fois, envoyez les documents en binaire.",
        "Geef elk deel een eigen Content-ID, noem elk deel één keer, stuur de documenten als binair.",
        "Geben Sie jedem Teil eine eigene Content-ID, nennen Sie jeden einmal, senden Sie die Dokumente binär.";
    Soa03005
        "Contract A is at /RegisteredMail/v1, contract B at /RegisteredMail/v2; leave SOAPAction empty.",
        "Le contrat A est à /RegisteredMail/v1, le contrat B à /RegisteredMail/v2 ; laissez SOAPAction vide.",
        "Contract A staat op /RegisteredMail/v1, contract B op /RegisteredMail/v2; laat SOAPAction leeg.",
        "Vertrag A steht unter /RegisteredMail/v1, Vertrag B unter /RegisteredMail/v2; lassen Sie SOAPAction leer.";
    Soa03006
        "Validate against the XSD in `wsdl/`; the fault names the element.",
        "Validez avec le XSD de `wsdl/` ; l'erreur nomme l'élément.",
        "Valideer met de XSD in `wsdl/`; de fout noemt het element.",
        "Validieren Sie gegen das XSD in `wsdl/`; der Fehler nennt das Element.";
    FileB01
        "Take the digest over the very bytes that you attach, after every change to them.",
        "Calculez l'empreinte sur les octets mêmes que vous joignez, après chaque modification.",
        "Bereken de hash over precies de bytes die u bijvoegt, na elke wijziging ervan.",
        "Bilden Sie den Hashwert über genau die Bytes, die Sie anhängen, nach jeder Änderung daran.";
    FileB02 | FileB03
        "SHA-256 or SHA-512.",
        "SHA-256 ou SHA-512.",
        "SHA-256 of SHA-512.",
        "SHA-256 oder SHA-512.";
    RepoB01
        "Look the ticket up in your receipts.",
        "Cherchez le ticket dans vos accusés.",
        "Zoek het ticket op in uw ontvangstbewijzen.",
        "Suchen Sie das Ticket in Ihren Quittungen.";
    RepoB02
        "Use the receipt and the proof of dispatch that you hold: they verify as before.",
        "Utilisez l'accusé et la preuve d'envoi que vous détenez : ils se vérifient comme avant.",
        "Gebruik het ontvangstbewijs en het bewijs van verzending die u hebt: zij blijven verifieerbaar zoals voorheen.",
        "Verwenden Sie die Quittung und den Versandnachweis, die Sie haben: sie lassen sich prüfen wie zuvor.";
    RepoB03
        "Ask getDeliveryHistory what became of the item, and for the proof once the fact is there.",
        "Demandez à getDeliveryHistory ce qu'il est advenu de l'envoi, et la preuve dès que le fait est établi.",
        "Vraag aan getDeliveryHistory wat er van de zending geworden is, en het bewijs zodra het feit er is.",
        "Fragen Sie getDeliveryHistory, was aus der Sendung wurde, und den Nachweis, sobald die Tatsache eingetreten ist.";
    EpostB01
        "Correct it at its source; the fault names which, never its digits.",
        "Corrigez-le à sa source ; l'erreur dit lequel, jamais ses chiffres.",
        "Verbeter ze aan de bron; de fout noemt welke, nooit de cijfers.",
        "Berichtigen Sie sie an ihrer Quelle; der Fehler nennt welche, nie ihre Ziffern.";
    EpostB02
        "Use another channel, or BYPASS.",
        "Utilisez un autre canal, ou BYPASS.",
        "Gebruik een ander kanaal, of BYPASS.",
        "Verwenden Sie einen anderen Kanal, oder BYPASS.";
    EpostB03
        "Use another channel, or ACTIVATED.",
        "Utilisez un autre canal, ou ACTIVATED.",
        "Gebruik een ander kanaal, of ACTIVATED.",
        "Verwenden Sie einen anderen Kanal, oder ACTIVATED.";
    EpostB04
        "A Token of its own for each item; to send the same item again, send it unchanged.",
        "Un Token propre à chaque envoi ; pour renvoyer le même envoi, renvoyez-le inchangé.",
        "Een eigen Token voor elke zending; om dezelfde zending opnieuw te sturen, stuurt u ze ongewijzigd.",
        "Ein eigenes Token für jede Sendung; um dieselbe Sendung erneut zu senden, senden Sie sie unverändert.";
    EpostB05
        "Divide it, or send it in another form.",
        "Divisez-le, ou envoyez-le sous une autre forme.",
        "Splits het, of stuur het in een andere vorm.",
        "Teilen Sie sie auf, oder senden Sie sie in anderer Form.";
    EpostB06
        "Clean the file and send it as a new item.",
        "Nettoyez le fichier et envoyez-le comme nouvel envoi.",
        "Maak het bestand schoon en stuur het als nieuwe zending.",
        "Bereinigen Sie die Datei und senden Sie sie als neue Sendung.";
    EpostB07
        "Name every attachment exactly once by its Content-ID.",
        "Nommez chaque pièce jointe exactement une fois par son Content-ID.",
        "Noem elke bijlage precies één keer bij haar Content-ID.",
        "Nennen Sie jede Anlage genau einmal mit ihrer Content-ID.";
    EpostB08
        "Use a granted type, or ask the platform for it.",
        "Utilisez un type autorisé, ou demandez-le à la plateforme.",
        "Gebruik een toegelaten type, of vraag het aan het platform.",
        "Verwenden Sie einen erlaubten Typ, oder beantragen Sie ihn bei der Plattform.";
    EpostB09
        "Fewer or smaller files, the quality under which the box is held; no Channel, RecipientsDelegate or ProofToSenderMailbox for whom there is no folder.",
        "Moins de fichiers ou des fichiers plus petits, la qualité sous laquelle la boîte est tenue ; pas de Channel, RecipientsDelegate ni ProofToSenderMailbox pour qui n'a pas de dossier.",
        "Minder of kleinere bestanden, de hoedanigheid waaronder de box wordt gehouden; geen Channel, RecipientsDelegate of ProofToSenderMailbox voor wie geen map heeft.",
        "Weniger oder kleinere Dateien, die Eigenschaft, unter der die Box geführt wird; kein Channel, RecipientsDelegate oder ProofToSenderMailbox für jemanden ohne Ordner.";
}
