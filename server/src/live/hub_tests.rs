//! The hub: who hears what, and how many may listen.

use super::*;
use uuid::Uuid;

fn fire() -> Tenant {
    "fire".parse().expect("a tenant")
}

fn buckets(names: &[&str]) -> BTreeSet<Bucket> {
    names.iter().map(|name| name.parse().expect("a bucket")).collect()
}

fn listen(hub: &Pokes, device: u128, kind: Kind, held: &[&str]) -> Listening {
    let (device, user) = (DeviceId(Uuid::from_u128(device)), UserId(Uuid::from_u128(device + 100)));
    hub.listen(&fire(), device, user, kind, buckets(held))
}

#[tokio::test]
async fn only_those_who_hold_a_bucket_hear_of_it_and_only_the_last_word_counts() {
    let hub = Pokes::default();
    let mut south = listen(&hub, 1, Kind::Socket, &["station:south"]);
    let north = listen(&hub, 2, Kind::Socket, &["station:north"]);
    let mine = buckets(&["station:south", "area:1"]);
    for seq in [3, 9, 5] {
        hub.poke(&fire(), Seq(seq), &mine);
    }
    hub.poke(&"welfare".parse().expect("a tenant"), Seq(99), &mine);
    assert_eq!(south.changed().await.seq, Seq(9));
    assert!(!north.heard.has_changed().expect("the hub lives"));
}

#[tokio::test]
async fn the_third_socket_of_a_device_replaces_the_first() {
    let hub = Pokes::default();
    let mut first = listen(&hub, 1, Kind::Socket, &[]);
    let second = listen(&hub, 1, Kind::Socket, &[]);
    let poll = listen(&hub, 1, Kind::Poll, &[]);
    let third = listen(&hub, 1, Kind::Socket, &[]);
    assert!(first.changed().await.replaced);
    for other in [&second, &poll, &third] {
        assert!(!other.heard.borrow().replaced);
    }
}

#[tokio::test]
async fn what_is_held_can_change_and_nothing_is_left_behind() {
    let hub = Pokes::default();
    let mut one = listen(&hub, 1, Kind::Socket, &["station:south"]);
    assert!(!one.hold(buckets(&["station:south"])));
    assert!(one.hold(buckets(&["station:north"])));
    hub.poke(&fire(), Seq(1), &buckets(&["station:south"]));
    assert!(!one.heard.has_changed().expect("the hub lives"));
    hub.poke(&fire(), Seq(2), &buckets(&["station:north"]));
    assert_eq!(one.changed().await.seq, Seq(2));
    drop(one);
    assert!(hub.lock().of.is_empty());
}

#[tokio::test]
async fn a_recheck_reaches_the_device_or_the_user_it_is_for() {
    let hub = Pokes::default();
    let mut one = listen(&hub, 1, Kind::Socket, &[]);
    let other = listen(&hub, 2, Kind::Socket, &[]);
    hub.recheck_device(&fire(), DeviceId(Uuid::from_u128(1)));
    assert_eq!(one.changed().await.recheck, 1);
    hub.recheck_user(&fire(), UserId(Uuid::from_u128(101)));
    assert_eq!(one.changed().await.recheck, 2);
    assert!(!other.heard.has_changed().expect("the hub lives"));
}
