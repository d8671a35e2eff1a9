//! No old value and no deleted key, in every order of three steps; `slotcask-explore resurrect` goes up to six and more.

use slotcask_explore::resurrect::{play, sequences};

#[test]
fn nothing_comes_back_in_any_order_of_three_steps() {
    for number in 0..sequences(3) {
        let judged = play(number).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!(judged, 9);
    }
}
