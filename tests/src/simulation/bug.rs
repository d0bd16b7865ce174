//! The planted bugs: mistakes a server of this kind is known to make, each of which a property must catch.

/// Where a bug is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the model of the server.
    Model,
    /// Between the devices and the real server, whose answers are altered as the mistaken server would give them.
    Between,
}

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A pull asks for what has a later client time than the latest seen.
    CursorByClientTime,
    /// A dominated version is written over the stored one.
    StaleOverwrite,
    /// Of two concurrent versions the winner is stored with its own clock only.
    LostMerge,
    /// A full page's cursor is one item further than the page.
    OffByOnePage,
    /// Two commits of a second have the same position.
    SeqRepeats,
    /// Whose content was merged is forgotten, so a version may lose to its own ancestor.
    AncestorWins,
    /// A tombstone has no clock.
    DeleteWithoutClock,
    /// A commit shows before its entries do, and a pull believes it.
    CommitBeforeEntries,
    /// What lost a conflict is thrown away.
    HistoryLost,
    /// A page is planned with the sizes entries had when they were committed; what has grown since does not fit.
    GrownEntrySkipped,
    /// A cursor counts the items of a commit that are still to be delivered, not those it wrote.
    OffsetAmongRemaining,
    /// A repeated push is a new one.
    RetryIsNew,
    /// A full pull goes on from the head at its end, not at its beginning.
    HeadAtTheEnd,
    /// The cursor of a push's answer is the head, whoever wrote before it.
    PushCursorSkips,
    /// The position of a push's answer follows one that was answered, not one that was presented.
    PushTrustsAnswers,
    /// Deletions stand in full pulls only.
    TombstonesForgotten,
    /// A crash leaves half of a chunk.
    HalfChunk,
    /// A request that is repeated later, among others, moves the clock of the version back.
    ClockGoesBack,
    /// Two people's entries with the same id are one.
    SpacesMixed,
    /// The digest does not follow a merge.
    DigestDrifts,
    /// The server's own count begins at 1 again after an erase.
    ServerCountBeginsAnew,
    /// A page number of a full pull without cursor is given to another place.
    PageNumberReused,
    /// A cursor of a week ago is 410, whatever is kept.
    ResyncAtWill,
    /// An erase that was ordered after the backup still deletes the generation that was put back.
    EraseOrderOutlivesRestore,
    /// A backup is put back and the epoch stays.
    RestoreKeepsEpoch,
    /// A deletion by id does not look at `base_cursor`.
    DeleteUnseen,
    /// Who merges passes for the one whose content it is.
    MergeClaimsWriter,
    /// Whether a loser is in history already is looked up for those of the first plan only.
    MarkersOfFirstPlan,
    /// Where a device stands is written as it was read when the request began.
    PlaceByLastWriter,
    /// The position of a push's answer is the head.
    PushTimeIsHead,
    /// A deletion and what revived the entry stand on one page.
    IdTwice,
    /// History is swept after a week.
    HistorySwept,
    /// History comes oldest first.
    HistoryOldestFirst,
    /// A version in history has the author of the one that won.
    HistoryOfTheWinner,
    /// A version in history has no clock.
    HistoryWithoutClock,
    /// An entry has the device that pushed it for its author.
    AuthorIsSender,
    /// Between: history answers come back empty.
    HistoryDropped,
    /// Between: the last item of a page with more to come is missing.
    PageCut,
    /// Between: a full page is taken for the last.
    FullPageEnds,
    /// Between: a deletion does not reach the others.
    DeletionDropped,
}

impl Bug {
    /// All of them; the ten of the plan first.
    pub const ALL: [Self; 40] = [
        Self::CursorByClientTime,
        Self::StaleOverwrite,
        Self::LostMerge,
        Self::OffByOnePage,
        Self::SeqRepeats,
        Self::AncestorWins,
        Self::DeleteWithoutClock,
        Self::CommitBeforeEntries,
        Self::HistoryLost,
        Self::GrownEntrySkipped,
        Self::OffsetAmongRemaining,
        Self::RetryIsNew,
        Self::HeadAtTheEnd,
        Self::PushCursorSkips,
        Self::PushTrustsAnswers,
        Self::TombstonesForgotten,
        Self::HalfChunk,
        Self::ClockGoesBack,
        Self::SpacesMixed,
        Self::DigestDrifts,
        Self::ServerCountBeginsAnew,
        Self::PageNumberReused,
        Self::ResyncAtWill,
        Self::EraseOrderOutlivesRestore,
        Self::RestoreKeepsEpoch,
        Self::DeleteUnseen,
        Self::MergeClaimsWriter,
        Self::MarkersOfFirstPlan,
        Self::PlaceByLastWriter,
        Self::PushTimeIsHead,
        Self::IdTwice,
        Self::HistorySwept,
        Self::HistoryOldestFirst,
        Self::HistoryOfTheWinner,
        Self::HistoryWithoutClock,
        Self::AuthorIsSender,
        Self::HistoryDropped,
        Self::PageCut,
        Self::FullPageEnds,
        Self::DeletionDropped,
    ];

    /// Where it is planted.
    #[must_use]
    pub fn place(self) -> Place {
        match self {
            Self::HistoryDropped | Self::PageCut | Self::FullPageEnds | Self::DeletionDropped => Place::Between,
            _ => Place::Model,
        }
    }

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CursorByClientTime => "cursor by client time",
            Self::StaleOverwrite => "stale overwrite",
            Self::LostMerge => "lost merge",
            Self::OffByOnePage => "off-by-one page",
            Self::SeqRepeats => "a seq that repeats within a second",
            Self::AncestorWins => "content lost to its own ancestor after a merge",
            Self::DeleteWithoutClock => "delete without clock",
            Self::CommitBeforeEntries => "commit visible before its entries",
            Self::HistoryLost => "history lost",
            Self::GrownEntrySkipped => "page that skips after an entry grew",
            Self::OffsetAmongRemaining => "offset counted among what remains",
            Self::RetryIsNew => "a repeated push is a new one",
            Self::HeadAtTheEnd => "full pull goes on from its last head",
            Self::PushCursorSkips => "a push's cursor skips others' writes",
            Self::PushTrustsAnswers => "a push's time follows a lost answer",
            Self::TombstonesForgotten => "tombstones left out of deltas",
            Self::HalfChunk => "half a chunk after a crash",
            Self::ClockGoesBack => "a merge that keeps the older clock",
            Self::SpacesMixed => "spaces not told apart",
            Self::DigestDrifts => "digest that misses merges",
            Self::ServerCountBeginsAnew => "the server's count begins anew after an erase",
            Self::PageNumberReused => "a page number given to two places",
            Self::ResyncAtWill => "410 for a cursor of a week ago",
            Self::EraseOrderOutlivesRestore => "an erase order that outlives a restore",
            Self::RestoreKeepsEpoch => "a restore that keeps the epoch",
            Self::DeleteUnseen => "a deletion of what was not seen",
            Self::MergeClaimsWriter => "a merge that claims another's content",
            Self::MarkersOfFirstPlan => "markers looked up for the first plan only",
            Self::PlaceByLastWriter => "a device's place by its last writer",
            Self::PushTimeIsHead => "a push's time is the head",
            Self::IdTwice => "an id twice on a page",
            Self::HistorySwept => "history swept after a week",
            Self::HistoryOldestFirst => "history oldest first",
            Self::HistoryOfTheWinner => "history with the winner's author",
            Self::HistoryWithoutClock => "history without clocks",
            Self::AuthorIsSender => "the sender taken for the author",
            Self::HistoryDropped => "history answers dropped",
            Self::PageCut => "last item of a page dropped",
            Self::FullPageEnds => "a full page taken for the last",
            Self::DeletionDropped => "deletions dropped on the way",
        }
    }
}
