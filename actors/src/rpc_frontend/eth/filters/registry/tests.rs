use super::*;
use crate::rpc_frontend::rate::Client;
use alloy_primitives::Address;
use std::net::Ipv4Addr;

const START: Duration = Duration::from_secs(1_000);

fn blocks() -> Kind {
    Kind::Blocks(Cursor::after(0, B256::ZERO))
}

/// Each filter of these tests has a holder of its own, unless it says otherwise.
fn holder(id: FilterId) -> Holder {
    Some(Client::of(Ipv4Addr::from_bits(id as u32).into()))
}

fn hash(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

#[test]
fn where_all_places_are_taken_the_filter_that_nobody_has_asked_longest_gives_way_once_it_is_idle() {
    let mut registry = Registry::new(2);
    assert_eq!(registry.on_install(START, holder(1), 1, blocks()), Ok(vec![]));
    assert_eq!(registry.on_install(START, holder(2), 2, blocks()), Ok(vec![]));
    assert!(registry.on_asked(START + Duration::from_secs(1), 1).is_some());
    let almost = START + IDLE - Duration::from_nanos(1);
    assert_eq!(registry.on_install(almost, holder(3), 3, blocks()), Err(Full::All { most: 2 }));
    assert_eq!(registry.on_install(START + IDLE * 9, holder(3), 3, blocks()), Ok(vec![2]), "1 was asked later");
    assert_eq!(registry.on_asked(START, 2), None);
    assert!(registry.on_asked(START, 1).is_some() && registry.on_asked(START, 3).is_some());
}

#[test]
fn nobody_gets_more_than_a_share_and_who_has_a_share_gives_way_to_himself() {
    let mut registry = Registry::new(8);
    let (one, other) = (holder(1), holder(2));
    assert_eq!(registry.on_install(START, one, 1, blocks()), Ok(vec![]));
    assert_eq!(registry.on_install(START, one, 2, blocks()), Ok(vec![]));
    let refused = registry.on_install(START, one, 3, blocks());
    assert_eq!(refused, Err(Full::Share { places: 1, held: 2, share: 2, most: 8 }), "six places are free");
    assert_eq!(registry.on_install(START, other, 4, blocks()), Ok(vec![]), "another one is not kept out");
    assert_eq!(registry.on_install(START, None, 5, blocks()), Ok(vec![]));
    assert!(registry.on_uninstall(1));
    assert_eq!(registry.on_install(START, one, 6, blocks()), Ok(vec![]), "what is given back counts no more");
    assert_eq!(registry.on_install(START + IDLE, one, 7, blocks()), Ok(vec![2]), "of its own the oldest");
    let same = Some(Client::of("::ffff:0.0.0.1".parse().unwrap()));
    assert!(registry.on_install(START, same, 8, blocks()).is_err(), "the same address, written as IPv6");
}

#[test]
fn nobody_elses_filter_gives_way_for_a_share_however_long_it_is_idle() {
    let mut registry = Registry::new(8);
    for (id, whose) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        registry.on_install(START + Duration::from_secs(u64::from(id > 2)), holder(whose), id, blocks()).unwrap();
    }
    assert_eq!(registry.on_install(START + IDLE * 2, holder(2), 5, blocks()), Ok(vec![3]));
}

#[test]
fn where_all_places_are_taken_whoever_has_most_gives_way_first() {
    let mut registry = Registry::new(8);
    let later = START + Duration::from_secs(1);
    registry.on_install(START, holder(9), 1, blocks()).unwrap();
    for (id, whose) in [(2, 7), (3, 7), (4, 8), (5, 8), (6, 6), (7, 5)] {
        registry.on_install(later, holder(whose), id, blocks()).unwrap();
    }
    registry.on_install(later, holder(9), 8, blocks()).unwrap();
    assert!(registry.on_uninstall(1));
    registry.on_install(START, holder(4), 1, blocks()).unwrap();
    let idle = later + IDLE;
    registry.on_asked(idle, 2);
    registry.on_asked(idle, 3);
    let gone = registry.on_install(idle, holder(1), 9, blocks());
    assert_eq!(gone, Ok(vec![4]), "1 is older, but the only one of its holder; 7's two are in use");
    assert_eq!(registry.on_install(idle, holder(1), 10, blocks()), Ok(vec![1]), "now the oldest of all");
}

#[test]
fn an_idle_filter_stays_while_there_is_room() {
    let mut registry = Registry::new(2);
    registry.on_install(START, holder(1), 1, blocks()).unwrap();
    assert_eq!(registry.on_install(START + IDLE * 1_000, holder(2), 2, blocks()), Ok(vec![]));
    assert!(registry.on_asked(START + IDLE * 2_000, 1).is_some());
}

#[test]
fn a_filter_of_many_addresses_takes_the_room_of_many_filters_and_gives_it_back() {
    let addresses: Vec<_> = (0..40u64).map(|number| Address::left_padding_from(&number.to_be_bytes())).collect();
    let large = || Kind::Logs(Arc::new(Filter::new().address(addresses.clone())), Cursor::after(0, B256::ZERO));
    let mut registry = Registry::new(12);
    for id in 1..5 {
        registry.on_install(START, holder(id), id, large()).unwrap();
    }
    assert_eq!(registry.on_install(START, holder(5), 5, blocks()), Err(Full::All { most: 12 }));
    assert!(registry.on_uninstall(1) && !registry.on_uninstall(1));
    for id in 5..8 {
        registry.on_install(START, holder(id), id, blocks()).unwrap();
    }
    // One that finds too little that is idle takes nothing away.
    for id in 2..6 {
        registry.on_asked(START + IDLE, id);
    }
    assert_eq!(registry.on_install(START + IDLE, holder(9), 9, large()), Err(Full::All { most: 12 }));
    assert!(registry.on_asked(START + IDLE, 6).is_some());
}

#[test]
fn what_two_read_at_once_is_told_to_one() {
    let mut registry = Registry::new(2);
    registry.on_install(START, holder(1), 1, blocks()).unwrap();
    let (from, to) = (Cursor::after(0, B256::ZERO), Cursor::after(4, hash(4)));
    assert!(registry.on_read(1, from, to));
    assert!(!registry.on_read(1, from, to));
    assert_eq!(registry.on_asked(START, 1), Some(Kind::Blocks(to)));
    assert!(!registry.on_read(7, from, to), "one that is gone");
}

#[test]
fn each_pending_filter_hears_of_what_came_since_it_was_asked_and_of_no_more_than_is_kept() {
    let mut registry = Registry::new(4);
    assert!(!registry.on_pending(hash(0)), "nobody wants it");
    assert_eq!(registry.on_install_pending(START, holder(1), 1), Ok((vec![], true)));
    assert!(registry.on_pending(hash(1)));
    assert_eq!(registry.on_install_pending(START, holder(2), 2), Ok((vec![], false)), "somebody brings them already");
    assert!(registry.on_pending(hash(2)));
    assert_eq!(registry.on_pending_asked(1), [hash(1), hash(2)]);
    assert!(registry.on_pending_asked(1).is_empty());
    assert_eq!(registry.on_pending_asked(2), [hash(2)]);
    let most = KEPT_PENDING as u64;
    (0..most + 5).for_each(|number| assert!(registry.on_pending(hash(number))));
    let heard = registry.on_pending_asked(1);
    assert_eq!((heard.len(), heard[0], heard[KEPT_PENDING - 1]), (KEPT_PENDING, hash(5), hash(most + 4)));
}

#[test]
fn hashes_are_brought_only_while_a_filter_wants_them_and_filters_are_lost_when_nobody_brings_them() {
    let mut registry = Registry::new(4);
    registry.on_install_pending(START, holder(1), 1).unwrap();
    registry.on_uninstall(1);
    assert!(!registry.on_pending(hash(1)));
    assert_eq!(registry.on_install_pending(START, holder(2), 2), Ok((vec![], true)));
    registry.on_install(START, holder(3), 3, blocks()).unwrap();
    registry.on_feed_ended();
    assert_eq!(registry.on_asked(START, 2), None);
    assert!(registry.on_asked(START, 3).is_some());
    assert_eq!(registry.on_install_pending(START, holder(4), 4), Ok((vec![], true)));
}
