//! Sorts short lists at the start.
//!
//! `slice::sort` and its relatives take 3 to 7 kB of code for each type of item, all of it
//! locked into RAM: 15 kB in the firmware. An insertion sort takes 200 bytes for each.

/// Sorts `items` by `key`; those with equal keys keep their order. Cost: the square of their
/// number, so for lists of some hundred items.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..items.len() {
        let sorted = &mut items[..=end];
        let mut at = end;
        while at > 0 && key(&sorted[at]) < key(&sorted[at - 1]) {
            sorted.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_in_order_and_equal_ones_keep_theirs() {
        let mut seed = 1_u64;
        for length in 0..40 {
            let mut items: Vec<(u8, usize)> = (0..length)
                .map(|number| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    ((seed >> 61) as u8, number)
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            sort_by_key(&mut items, |item| item.0);
            assert_eq!(items, expected);
        }
    }
}
