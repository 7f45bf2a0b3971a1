use crate::sync_coordinator::Staging;

#[test]
fn blocks_come_out_in_height_order_whatever_the_order_they_came_in() {
    let mut staging = Staging::new(5);
    for height in [8, 6, 5, 7, 4] {
        staging.put(height, height);
    }
    let mut out = Vec::new();
    while let Some((height, block)) = staging.take() {
        assert_eq!(height, block);
        out.push(height);
    }
    assert_eq!(out, [5, 6, 7, 8]);
    assert!(!staging.is_waiting());
}

#[test]
fn the_front_has_room_however_much_waits_behind_it() {
    let staging: Staging<u64> = Staging::new(5);
    assert!(staging.has_room(5, true) && !staging.has_room(100, true) && staging.has_room(100, false));
}

#[test]
fn what_was_imported_by_another_way_is_forgotten() {
    let mut staging = Staging::new(5);
    for height in 5..10 {
        staging.put(height, ());
    }
    staging.advance(8);
    assert_eq!(staging.take(), Some((8, ())));
    staging.advance(3);
    assert_eq!(staging.take(), Some((9, ())));
    staging.put(12, ());
    staging.clear(10);
    assert_eq!(staging.take(), None);
}
