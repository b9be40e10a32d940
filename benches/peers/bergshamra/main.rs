//! bergshamra, measured as we measure ourselves: CPU time of one verification with the key given (no path, no CRLs), the
//! median of 25 groups, in nanoseconds.
//!
//!     peer-bergshamra CERTIFICATE.pem REQUEST.xml

use std::time::Duration;

use bergshamra::{DsigContext, KeysManager, keys::loader};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, certificate, request] = arguments.as_slice() else { panic!("CERTIFICATE.pem REQUEST.xml") };
    let mut keys = KeysManager::new();
    keys.add_key(loader::load_x509_cert_pem(&std::fs::read(certificate).unwrap()).unwrap());
    // Its strict mode wants the signed element around or beside the signature: in SOAP it is neither.
    let context = DsigContext::new(keys).with_strict_verification(false);
    let request = std::fs::read_to_string(request).unwrap();
    let verify = || {
        let result = bergshamra::verify(&context, &request).unwrap();
        assert!(result.all_reference_digests_verified());
    };
    verify();
    let begun = cpu();
    verify();
    let calls = (GROUP.as_nanos() / (cpu() - begun).as_nanos()) as u32 + 2;
    let mut groups: Vec<Duration> = (0..GROUPS)
        .map(|_| {
            let begun = cpu();
            (0..calls).for_each(|_| verify());
            (cpu() - begun) / calls
        })
        .collect();
    groups.sort();
    println!("{}", groups[GROUPS / 2].as_nanos());
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

const GROUPS: usize = 25;
const GROUP: Duration = Duration::from_millis(20);
