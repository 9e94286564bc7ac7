//! Key rings, as people write them into Secrets; here their entries stand between bars. No entry makes a panic, and no message shows what an entry holds.

#![no_main]

use headgate_snapshot::delivery::{KeyRing, RingError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let entries: Vec<&[u8]> = input.split(|&byte| byte == b'|').collect();
    let named = entries
        .iter()
        .enumerate()
        .map(|(index, value)| (format!("{index:04}"), value.to_vec().into()));
    match KeyRing::from_entries(named) {
        Ok(ring) => {
            let ids = ring.ids();
            assert!(!ids.is_empty() && ids.len() + ring.unusable().len() == entries.len());
            assert_eq!(ids.last().map(String::as_str), Some(ring.newest().id()));
            assert!(ids.iter().all(|id| ring.get(id).is_some_and(|key| key.id() == id)));
            assert!(ring.newest_held_by_all([&*ids]).is_some());
            assert!(ring.newest_held_by_all([&*ids, &[]]).is_none());
        }
        // An error has no room for more than the name of an entry, which is ours.
        Err(RingError::NotAKey { entry }) => assert!(entry.parse::<usize>().is_ok_and(|index| index < entries.len())),
        Err(RingError::Empty) => panic!("there is always an entry"),
        Err(RingError::TooMany) => assert!(entries.len() > 64),
    }
});
