//! Places on a virtual clock.

use super::*;
use crate::base::report::Report;
use crate::base::secret::Process;
use crate::plan::Shared;

fn crowd(limits: &str, proxies: &str) -> (Arc<Crowd>, Clock) {
    let text = format!(
        "server: {{ trusted_proxies: [{proxies}], limits: {{ {limits} }} }}\n\
         listeners: [{{ address: \"127.0.0.1:1\" }}]\n\
         routes: [{{ path: /, respond: {{ body: a }}, auth: public }}]\n"
    );
    let files = Process::new(std::path::Path::new("."));
    let config = crate::config::parse(&text, &files).0.unwrap();
    let mut report = Report::default();
    let plan = crate::plan::compile(&config, &Shared::offline(&config), None, &mut report).unwrap();
    let clock = Clock::at(1_000_000);
    let plan = Arc::new(ArcSwap::from_pointee(plan));
    (Arc::new(Crowd::new(plan, 3, clock.clone())), clock)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn there_is_room_for_so_many_in_all_and_a_place_that_is_left_is_free() {
    let (crowd, _) = crowd("connections: 2", "");
    let one = crowd.enter(address("192.0.2.1")).unwrap();
    let _two = crowd.enter(address("192.0.2.2")).unwrap();
    assert_eq!(crowd.enter(address("192.0.2.3")).unwrap_err(), "total");
    drop(one);
    assert!(crowd.enter(address("192.0.2.3")).is_ok());
}

#[test]
fn without_a_word_of_the_configuration_the_files_tell_how_many() {
    let (crowd, _) = crowd("", "");
    let places: Vec<_> = (1..=3)
        .map(|last| crowd.enter(IpAddr::from([192, 0, 2, last])).unwrap())
        .collect();
    assert_eq!(crowd.enter(address("192.0.2.4")).unwrap_err(), "total");
    drop(places);
    assert!(crowd.addresses().is_empty(), "who has left is forgotten");
}

#[test]
fn an_address_has_its_share_and_a_proxy_that_speaks_for_many_has_none() {
    let (crowd, _) = crowd("connections: 9, connections_per_ip: 1", "10.0.0.0/8");
    let _one = crowd.enter(address("192.0.2.1")).unwrap();
    assert_eq!(crowd.enter(address("192.0.2.1")).unwrap_err(), "per_ip");
    assert_eq!(
        crowd.enter(address("::ffff:192.0.2.1")).unwrap_err(),
        "per_ip"
    );
    let _other = crowd.enter(address("2001:db8::1")).unwrap();
    assert_eq!(
        crowd.enter(address("2001:db8::2:1")).unwrap_err(),
        "per_ip",
        "a /64 is one"
    );
    let proxies: Vec<_> = (0..5).map(|_| crowd.enter(address("10.0.0.1"))).collect();
    assert!(proxies.iter().all(Result::is_ok));
}

#[test]
fn an_address_that_takes_its_streams_back_is_kept_out_until_it_has_calmed_down() {
    let (crowd, clock) = crowd("connections: 9", "10.0.0.0/8");
    let place = crowd.enter(address("192.0.2.1")).unwrap();
    assert!(!crowd.reset(address("192.0.2.1"), MOST_OF_ADDRESS / 2));
    assert!(crowd.reset(address("192.0.2.1"), 1));
    drop(place);
    assert_eq!(crowd.enter(address("192.0.2.1")).unwrap_err(), "resets");
    assert!(crowd.enter(address("192.0.2.2")).is_ok());
    assert!(!crowd.reset(address("10.0.0.1"), 10_000), "it is a proxy");
    clock.advance(2_000);
    assert!(crowd.enter(address("192.0.2.1")).is_ok());
}
