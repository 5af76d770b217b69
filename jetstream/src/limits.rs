//! Every limit of the log on JetStream in one place.

use std::time::Duration;

/// How long servers are waited for that answer, and what is kept there is looked for and made: of nodes that
/// start together one makes it, and until servers have elected who leads it cannot be found. Whoever may wait
/// longer tries again.
pub(crate) const OPEN_PATIENCE: Duration = Duration::from_secs(10);
/// After which it is told what is waited for.
pub(crate) const TELL: Duration = Duration::from_millis(300);
/// How long servers are waited for by whom they are of use but who can do without.
pub(crate) const LOOK_IN: Duration = Duration::from_secs(2);
/// How long a stream that was there before is looked for until it is told to be gone, and how long one must stand
/// otherwise than it was read: servers that have just started may not have found all of it themselves.
pub(crate) const GONE_PATIENCE: Duration = Duration::from_secs(5);
/// How long ago servers have last heard of each other that go together: they do once a second.
pub(crate) const HEARD: Duration = Duration::from_secs(3);
/// How long records are tried to be appended before their writers are told that it is not known what
/// became of them: longer than servers take to elect another leader.
pub(crate) const APPEND_PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody who takes them is waited for after that was in vain once.
pub(crate) const IN_VAIN: Duration = Duration::from_secs(1);
/// How long one answer of the servers is waited for.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
/// How long one is waited for by whom others wait for.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(500);
/// How long nothing of what is kept may arrive before reading it is given up.
pub(crate) const READ_PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries of the same.
pub(crate) const AGAIN: Duration = Duration::from_millis(50);
/// How often servers say that they are there while there is nothing to deliver; after twice that the
/// consumer is made anew.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long a request for messages stands.
pub(crate) const STANDS: Duration = Duration::from_secs(20);
/// After which the servers forget a consumer that nobody asks any more.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(60);
/// Messages that are delivered before they are taken.
pub(crate) const DELIVERED: usize = 64;
/// Bytes of them: a few messages of the largest.
pub(crate) const DELIVERED_BYTES: usize = 3 * MOST_PAYLOAD;
/// Beside those, messages that wait to be taken.
pub(crate) const ARRIVED: usize = 4;
/// How often the size of the stream is asked for, and how it stands, while nothing comes.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// How often while something seems to be amiss with it.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Bytes of records that are handed on at once.
pub(crate) const HANDED_ON: usize = 16 << 20;
/// Bytes of a message beside its part of a group: our own head, the protocol's, and the servers'.
pub(crate) const OVERHEAD: usize = 4 << 10;
/// The least that the servers must take as one message.
pub(crate) const LEAST_PAYLOAD: usize = 64 << 10;
/// The most that is put into one message, whatever the servers would take: what is larger delays all
/// that is behind it.
pub(crate) const MOST_PAYLOAD: usize = 8 << 20;
/// Records of one group: their places in it are the lower bits of their positions.
pub(crate) const GROUP_RECORDS: usize = 1 << super::position::PLACE_BITS;
/// Bytes of one group.
pub(crate) const GROUP_BYTES: usize = 256 << 20;
/// How long it is known what nodes have said of a place in the log.
pub(crate) const SAID_FOR: Duration = Duration::from_secs(86_400);
/// Bytes of a checkpoint that are sent at once.
pub(crate) const PIECE: usize = 256 << 10;
/// The same, to and from a folder or S3, which takes 10,000 of them for an object: 160 GB.
pub(crate) const PART: usize = 16 << 20;
/// Those that are on their way at once.
pub(crate) const PARTS_AT_ONCE: usize = 2;
/// Bytes of what a server tells about itself.
pub(crate) const VARZ_BYTES: u64 = 4 << 20;
