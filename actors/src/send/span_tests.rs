//! Messages and the span of their sender.

use super::probe::probe;
use actix::Message;
use parking_lot::Mutex;
use std::sync::Arc;
use tracing::Span;

#[derive(Message)]
#[rtype(result = "()")]
struct Note;

#[actix_rt::test]
async fn a_message_is_handled_in_its_senders_span_unless_it_is_sent_apart() {
    let _tracing = tracing::subscriber::set_default(tracing_subscriber::registry());
    let seen: Arc<Mutex<Vec<Option<&str>>>> = Arc::default();
    let spans = seen.clone();
    let (inbox, mut notes) =
        probe(move |_: &Note| spans.lock().push(Span::current().metadata().map(|of| of.name()))).await;
    let sender = tracing::info_span!("sender");
    sender.in_scope(|| inbox.signal(Note));
    sender.in_scope(|| inbox.signal_apart(Note));
    inbox.signal(Note);
    for _ in 0..3 {
        notes.next().await;
    }
    assert_eq!(*seen.lock(), [Some("sender"), None, None]);
}
