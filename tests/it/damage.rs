//! What is gone when the service starts: it says what and what to do, and goes on only if it is told to.

use std::path::Path;

use disk::{Disk, ForgetfulDisk};

use crate::house::inside::Plan;
use crate::house::{Draft, House};

fn plan(disk: &ForgetfulDisk) -> Plan {
    Plan { disk: disk.clone(), inline_bytes_max: 16, ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_still_to_be_delivered_is_missed_at_the_start() {
    let disk = ForgetfulDisk::new();
    let house = House::open(plan(&disk)).await.unwrap();
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let records = house.records().len();
    house.stop().await;
    House::open(plan(&disk)).await.unwrap().stop().await;

    let name = format!("data/content/{ticket}/part-2");
    disk.remove(Path::new(&name)).unwrap();
    let error = House::open(plan(&disk)).await.map(|_| ()).unwrap_err().to_string();
    let expected = format!(
        "content.absent: 1 parts of items on their way are not there: {name}. `epost journal repair --content"
    );
    assert!(error.starts_with(&expected), "{error}");

    let despite = || Plan { serve_despite_absent: true, ..plan(&disk) };
    let house = House::open(despite()).await.unwrap();
    assert_eq!(house.records().len(), records, "the refusal wrote nothing");
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    assert_eq!(receipt.ticket, ticket, "its receipt lies in the journal");
    house.service.keys().destroy_all(&[ticket]).await.unwrap();
    house.stop().await;
    let error = House::open(plan(&disk)).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&format!("the key of {ticket} in data/keys/items.keys")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_what_is_delivered_is_not_asked_for() {
    let disk = ForgetfulDisk::new();
    let house = House::open(Plan { delivers: true, ..plan(&disk) }).await.unwrap();
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let sent = || async { (house.service.index().counts().unwrap().sent == 1).then_some(()) };
    crate::house::until(sent).await;
    house.stop().await;
    disk.remove(Path::new(&format!("data/content/{ticket}/part-2"))).unwrap();
    House::open(plan(&disk)).await.unwrap().stop().await;
}
