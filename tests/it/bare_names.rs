//! A message that names its certificate and carries none: it is the TLS client's, or one that is registered for that sender.

use crate::house::inside::Plan;
use crate::house::{Draft, House, Signed, certificate};

const PROFILE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0";

/// Signed by `signer`, whose certificate is named by its key identifier, over `tls`'s connection.
fn named(signer: &str, tls: &str) -> Signed {
    let identifier = certificate(signer).subject_key_id().expect("a key identifier").to_vec();
    let key_info = format!(
        "<wsse:SecurityTokenReference xmlns:wsse=\"{}\"><wsse:KeyIdentifier ValueType=\"{PROFILE}#X509SubjectKeyIdentifier\">{}\
         </wsse:KeyIdentifier></wsse:SecurityTokenReference>",
        xmlsec::namespace::WSSE,
        base64_simd::STANDARD.encode_to_string(identifier)
    );
    let mut signed = Draft::submission("T").by(signer).sign();
    signed.sign_again(signer, Some(&key_info), |text| {
        let start = text.find("<wsse:BinarySecurityToken").unwrap();
        let end = text.find("</wsse:BinarySecurityToken>").unwrap() + "</wsse:BinarySecurityToken>".len();
        format!("{}{}", &text[..start], &text[end..])
    });
    tls.clone_into(&mut signed.tls);
    signed
}

async fn check(plan: Plan, signed: &Signed, expected: &str) {
    let house = House::open(plan).await.unwrap();
    assert_eq!(house.verdict(&house.send(signed).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_own_certificate_needs_no_registration() {
    check(Plan::default(), &named("alice", "alice"), "accepted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_gateway_a_registered_certificate_is_found() {
    let gateways = || vec![certificate("bob")];
    let unresolved = "SOA-01001 wss.token.unresolved";
    let with = |registered| Plan { registered, gateways: gateways(), ..Plan::default() };
    check(with(vec![]), &named("alice", "bob"), unresolved).await;
    check(with(vec![certificate("alice")]), &named("alice", "bob"), "accepted").await;
    // Found, and judged like any other.
    check(with(vec![certificate("unknown_ca")]), &named("unknown_ca", "bob"), "SOA-01001 wss.token.unknown")
        .await;
    let revoked = with(vec![certificate("revoked")]);
    check(revoked, &named("revoked", "bob"), "SOA-01001 path.revoked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_only_the_senders_own_are_meant() {
    let registered = || vec![certificate("alice"), certificate("revoked")];
    let plan = || Plan { registered: registered(), ..Plan::default() };
    check(plan(), &named("alice", "bob"), "SOA-01001 wss.token.unresolved").await;
    // One more certificate of the institution and application that the connection is of.
    check(plan(), &named("revoked", "alice"), "SOA-01001 path.revoked").await;
}
