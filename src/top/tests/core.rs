use super::sample::{answers, empty, lost, state, status};
use crate::top::answers::{Answers, calls};
use crate::top::sentence;
use crate::top::state::{Connection, KEYS, Key, Page, State, Step};
use crate::top::table::{Column, Order};
use serde_json::{Value, json};
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn names(state: &State) -> Vec<&str> {
    state.actors().into_iter().map(|actor| actor.actor.as_str()).collect()
}

#[test]
fn node_is_asked_once_an_interval_and_never_twice_at_once() {
    let mut state = State::new("http://node/".to_owned(), seconds(2));
    assert_eq!(state.on_time(seconds(0)), Step::Ask);
    assert_eq!(state.on_time(seconds(60)), Step::Wait, "the first round has no end yet");
    state.on_answers(seconds(61), Ok(answers("following")));
    assert_eq!(state.on_time(seconds(62)), Step::Wait);
    assert_eq!(state.on_time(seconds(63)), Step::Ask);
}

#[test]
fn node_that_is_gone_is_asked_again_at_growing_and_bounded_intervals_and_its_last_values_stay() {
    let mut state = state(answers("following"));
    let mut now = seconds(10);
    let mut pauses = Vec::new();
    for _ in 0..40 {
        assert_eq!(state.on_time(now), Step::Ask);
        state.on_answers(now, Err("connection refused".to_owned()));
        let next = state.ask_at().expect("it is asked again");
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses[..6], [1, 2, 4, 8, 8, 8]);
    assert_eq!(pauses[39], 8);
    let Connection::Lost { since, rounds, .. } = &state.connection else { panic!("{:?}", state.connection) };
    assert_eq!((*since, *rounds), (seconds(10), 40));
    assert_eq!(names(&state).len(), 10, "what it said last");
    assert_eq!(state.on_time(now), Step::Ask);
    state.on_answers(now, Ok(answers("following")));
    assert_eq!(state.connection, Connection::Live);
    assert_eq!(state.ask_at(), Some(now + seconds(1)), "at the pace of before");
}

#[test]
fn a_node_without_a_status_has_not_answered_and_one_without_refusals_has() {
    let error = || crate::rpc_client::RpcClientError::Refused {
        url: "http://node/".parse().expect("a URL"),
        method: "callboard_rejections",
        code: -32_000,
        message: "genesis not known yet".to_owned(),
    };
    let read = Answers::read([Err(error()), Ok(json!([])), Ok(json!([])), Ok(json!([]))]);
    assert!(read.expect_err("no status").contains("genesis not known yet"));
    let read = Answers::read([Ok(status("genesis")), Ok(json!([])), Ok(json!(7)), Err(error())]).expect("a status");
    assert!(read.refusals.expect_err("none").contains("genesis not known yet"));
    assert!(read.peers.expect_err("no list").contains("cannot be read"));
}

#[test]
fn what_is_asked_is_one_batch_of_the_four_methods() {
    let names = calls().map(|(method, _)| method);
    assert_eq!(names, ["callboard_syncStatus", "callboard_actors", "callboard_peers", "callboard_rejections"]);
}

/// Each key of the help, pressed on the overview: what it did.
#[test]
fn every_key_of_the_help_does_something() {
    let keys: &[(&str, &[Key])] = &[
        ("Up Down  k j", &[Key::Down, Key::Char('j')]),
        ("PgUp PgDn Home End", &[Key::PageDown, Key::End]),
        ("Enter", &[Key::Enter]),
        ("Esc  Backspace", &[Key::Back]),
        ("Left Right  < >", &[Key::Left, Key::Right, Key::Char('<'), Key::Char('>')]),
        ("s", &[Key::Char('s')]),
        ("r", &[Key::Char('r')]),
        ("Space", &[Key::Char(' ')]),
        ("p", &[Key::Char('p')]),
        ("a", &[Key::Char('a')]),
        ("x", &[Key::Char('x')]),
        ("?  h", &[Key::Char('?'), Key::Char('h')]),
        ("q  Ctrl-C", &[Key::Char('q'), Key::Interrupt]),
    ];
    assert_eq!(keys.iter().map(|(name, _)| *name).collect::<Vec<_>>(), KEYS.map(|(name, _)| name));
    for (name, keys) in keys {
        for key in *keys {
            let mut state = state(answers("following"));
            // Back from somewhere.
            state.page = if *name == "Esc  Backspace" { Page::Peers } else { Page::Overview };
            let before = state.clone();
            let step = state.on_key(*key);
            assert!(step == Step::Quit || state != before, "{key:?} does nothing");
        }
    }
    let mut state = state(answers("following"));
    let before = state.clone();
    assert_eq!((state.on_key(Key::Char('z')), &state), (Step::Wait, &before));
}

#[test]
fn quitting_works_from_everywhere() {
    for key in [Key::Char('q'), Key::Interrupt] {
        for page in [Page::Overview, Page::Messages("TxPool".to_owned()), Page::Peers, Page::Alerts, Page::Refusals] {
            let mut state = state(answers("following"));
            state.page = page;
            assert_eq!(state.on_key(key), Step::Quit);
            state.help = true;
            assert_eq!(state.on_key(key), Step::Quit);
        }
        assert_eq!(State::new("http://node/".to_owned(), seconds(1)).on_key(key), Step::Quit, "before any answer");
    }
}

#[test]
fn arrows_and_pages_choose_an_actor_within_the_list() {
    let mut state = state(answers("following"));
    let mut press = |key| {
        state.on_key(key);
        state.chosen.clone().expect("an actor")
    };
    assert_eq!(press(Key::Down), "Broadcaster");
    assert_eq!(press(Key::Char('j')), "ConfirmedState");
    assert_eq!(press(Key::Up), "Broadcaster");
    assert_eq!([press(Key::Char('k')), press(Key::Up)], ["BlockStore"; 2]);
    assert_eq!([press(Key::End), press(Key::Down), press(Key::PageDown)], ["TxPool"; 3]);
    assert_eq!([press(Key::PageUp), press(Key::Home)], ["BlockStore"; 2]);
    let mut nothing = super::sample::state(empty());
    for key in [Key::Up, Key::Down, Key::PageDown, Key::End, Key::Enter] {
        assert_eq!(nothing.on_key(key), Step::Wait);
        assert_eq!((&nothing.chosen, &nothing.page), (&None, &Page::Overview), "there is nothing to choose");
    }
}

#[test]
fn a_chosen_actor_stays_chosen_in_another_order_and_with_other_figures() {
    let mut state = state(answers("following"));
    state.on_key(Key::Down);
    let chosen = state.chosen.clone();
    state.on_key(Key::Char('s'));
    state.on_key(Key::Char('s'));
    assert_eq!((state.order.column, &state.chosen), (Column::Depth, &chosen));
    assert_eq!(names(&state)[state.chosen_row()], "Broadcaster");
    state.on_time(seconds(9));
    state.on_answers(seconds(9), Ok(answers("following")));
    assert_eq!(state.chosen, chosen);
    state.on_time(seconds(19));
    state.on_answers(seconds(19), Ok(empty()));
    assert_eq!(state.chosen_row(), 0, "it is gone");
}

#[test]
fn order_goes_through_the_columns_and_round_and_turns() {
    let mut state = state(answers("following"));
    assert_eq!(names(&state)[..2], ["BlockStore", "Broadcaster"]);
    let mut columns = Vec::new();
    for _ in Column::ALL {
        state.on_key(Key::Char('s'));
        columns.push(state.order.column);
    }
    assert_eq!(columns[..9], Column::ALL[1..]);
    assert_eq!(state.order, Order::by(Column::Name), "round the end");
    state.on_key(Key::Left);
    assert_eq!(state.order, Order { column: Column::Refused, descending: true });
    assert_eq!(names(&state)[0], "ConfirmedState");
    state.on_key(Key::Char('r'));
    assert_eq!(names(&state)[9], "ConfirmedState");
    for (column, first) in [
        (Column::State, "BlockStore"),
        (Column::Depth, "ConfirmedState"),
        (Column::Busy, "ConfirmedState"),
        (Column::Rate, "ConfirmedState"),
    ] {
        assert_eq!(
            Order::by(column).of(&state.actors().into_iter().cloned().collect::<Vec<_>>())[0].actor,
            first,
            "{column:?}"
        );
    }
}

#[test]
fn each_column_orders_by_its_own_figure() {
    let actor = |name: &str, member: &str, value: Value| {
        let mut actor = json!({ "actor": name });
        actor[member] = value;
        actor
    };
    for (column, member) in [
        (Column::Depth, "mailboxDepth"),
        (Column::Rate, "perSecond"),
        (Column::Busy, "busy"),
        (Column::WaitP50, "waitP50Us"),
        (Column::WaitP99, "waitP99Us"),
        (Column::HandleP50, "handleP50Us"),
        (Column::HandleP99, "handleP99Us"),
        (Column::Refused, "refused"),
    ] {
        let actors = json!([actor("a", member, json!(1)), actor("b", member, json!(3)), actor("c", member, json!(2))]);
        let actors = super::sample::read(status("following"), actors, json!([]), json!([])).actors.expect("actors");
        let ordered: Vec<_> = Order::by(column).of(&actors).into_iter().map(|actor| actor.actor.as_str()).collect();
        assert_eq!(ordered, ["b", "c", "a"], "{column:?}");
    }
}

#[test]
fn a_pause_asks_nothing_and_moves_nothing_and_its_end_asks_at_once() {
    let mut state = state(answers("following"));
    assert_eq!(state.on_time(seconds(2)), Step::Ask);
    assert_eq!(state.on_key(Key::Char(' ')), Step::Wait);
    state.on_answers(seconds(2), Ok(empty()));
    assert_eq!(names(&state).len(), 10, "what came after the pause began is not shown");
    assert_eq!((state.on_time(seconds(100)), state.ask_at()), (Step::Wait, None));
    assert_eq!(state.on_key(Key::Char(' ')), Step::Ask);
    state.on_answers(seconds(100), Ok(empty()));
    assert!(names(&state).is_empty());
}

#[test]
fn enter_opens_the_messages_of_the_chosen_actor_and_escape_leads_back() {
    let mut state = state(answers("following"));
    state.on_key(Key::Down);
    state.on_key(Key::Down);
    state.on_key(Key::Enter);
    assert_eq!(state.page, Page::Messages("ConfirmedState".to_owned()));
    let messages: Vec<_> =
        state.messages("ConfirmedState").into_iter().map(|message| message.message.as_str()).collect();
    assert_eq!(messages, ["ConfirmBlocks", "HeadRequest", "Stop"], "the most handled first");
    state.on_key(Key::Enter);
    assert_eq!(state.page, Page::Messages("ConfirmedState".to_owned()));
    state.on_key(Key::Back);
    assert_eq!((&state.page, state.chosen.as_deref()), (&Page::Overview, Some("ConfirmedState")));
}

#[test]
fn lists_scroll_to_their_last_entry_and_begin_anew_on_another_page() {
    let mut state = state(answers("following"));
    for (key, last) in [(Key::Char('p'), 3), (Key::Char('a'), 1), (Key::Char('x'), 1)] {
        state.on_key(key);
        assert_eq!(state.scrolled, 0);
        state.on_key(Key::End);
        assert_eq!(state.scrolled, last);
        state.on_key(Key::Down);
        assert_eq!(state.scrolled, last);
    }
    state.on_time(seconds(5));
    state.on_answers(seconds(5), Ok(empty()));
    assert_eq!(state.scrolled, 0, "the list is shorter now");
}

#[test]
fn help_lies_over_everything_until_the_next_key_which_does_nothing_else() {
    let mut state = state(answers("following"));
    state.on_key(Key::Char('?'));
    assert!(state.help);
    state.on_key(Key::Char('p'));
    assert_eq!((state.help, &state.page), (false, &Page::Overview));
}

#[test]
fn sentence_names_what_holds_the_node_up() {
    let of = |phase: &str, members: Value| {
        let mut status = status(phase);
        members.as_object().expect("members").iter().for_each(|(name, value)| status[name] = value.clone());
        sentence::of(&serde_json::from_value(status).expect("a status"))
    };
    for stage in ["verify", "execute", "root", "commit"] {
        let sentence = of("catching-up", json!({ "bottleneck": stage }));
        assert!(sentence.starts_with(&format!("The bottleneck is {stage} (")), "{sentence}");
    }
    assert!(of("catching-up", json!({ "bottleneck": "fetch" })).contains("come more slowly"));
    assert_eq!(of("catching-up", json!({ "bottleneck": "something new" })), "The bottleneck is something new.");
    assert!(of("catching-up", json!({ "bottleneck": null })).starts_with("Catching up"));
    assert!(of("following", json!({})).starts_with("Nothing holds it up"));
    assert!(of("following", json!({ "peers": [] })).starts_with("No peer is connected"));
    assert!(of("stalled", json!({ "headAgeSeconds": 200 })).contains("3m20s old"));
    assert!(of("stalled", json!({ "behindBlocks": 7 })).contains("7 blocks behind"));
    assert!(of("diverged", json!({})).starts_with("Diverged at block 41: find out"));
    assert!(of("replaying", json!({ "behindBlocks": 1_234 })).contains("1,234 blocks to go"));
    assert!(of("genesis", json!({})).contains("genesis"));
    assert!(of("something new", json!({})).contains("something new"));
}

#[test]
fn alerts_of_any_shape_are_shown_by_their_words() {
    let status = json!({ "alerts": ["plain", { "name": "disk", "message": "nearly full" }, { "name": "pool" }, 7] });
    let status: crate::top::answers::Status = serde_json::from_value(status).expect("a status");
    assert_eq!(status.alerts().collect::<Vec<_>>(), ["plain", "nearly full", "pool", "an alert without words"]);
}

#[test]
fn an_answer_after_a_loss_keeps_page_choice_and_order() {
    let mut state = lost(answers("following"));
    state.on_key(Key::Char('s'));
    state.on_key(Key::Char('p'));
    state.on_time(seconds(60));
    state.on_answers(seconds(60), Ok(answers("following")));
    assert_eq!((&state.connection, &state.page, state.order.column), (&Connection::Live, &Page::Peers, Column::State));
}
