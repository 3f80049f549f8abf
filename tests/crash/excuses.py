"""Places (places.py) that no operation comes to: (why, a pattern for their names → how many calls).

It is said that so many calls are not met: one more is a failure, and so is an entry of which all
calls are met.
"""

FAULT = "only after a call has failed, for want of space or of what it works on"
DAMAGE = "only where something cannot be read or is nobody's"
THERE = "what it makes is there: the bed or an earlier step has made it"
GONE = "what it removes is gone before, unless an earlier one was cut off there"
CUT_OFF = "only where an earlier one was cut off"
COMMAND = "a command of a process of its own, of which no engine knows"
ELSEWHERE = "the host or the bed's configuration has no such thing"
KINDS = "kinds of files and of mounts that are made by the same function as those that are met"
IMAGES = "a checkpoint that is an image of a registry"
TRIAL = "a process that makes nothing, and ends with the daemon that has started it"
LATER = "comes seconds after all that an operation waits for"
COPY = "the compiler has put it into its callers, and has kept this one"

NOT_MET = [
    (COMMAND, {
        r"berth::program::(?:ArchiveWriter|FolderWriter|LayoutWriter|Writer)::": 12,
        r"berth::program::(?:RecordCheck::|examineHost|explainPod|writePluginProject)": 9,
    }),
    (FAULT, {
        r"berth::cni::Records::begin → berth::support::removePath": 1,
        r"berth::engine::OutputFile::~OutputFile": 1,
        r"berth::engine::Recorded::keepChanges → berth::store::Store::put": 1,
        r"berth::images::Catalog::takeBack": 1,
        r"berth::overlay::LayerStore::(?:apply|remove) → berth::support::removeTree": 2,
        r"berth::overlay::LayerStore::publish": 1,
        r"berth::overlay::SnapshotStore::prepare → berth::support::removeTree": 1,
        r"berth::runc::MonitorClient::exec → berth::support::removePath": 2,
        r"berth::runc::RuntimePlugin::createContainer → berth::support::removePath": 1,
        r"berth::runc::monitor::Context::logError": 1,
        r"berth::runc::monitor::(?:makeNamespaces|replaceSmall|Exec::~Exec)": 3,
        r"berth::runc::monitor::startCommand → berth::streams::PacketServer::close": 2,
        r"berth::store::(?:Reserve::|Store::.* → berth::store::Reserve::)": 8,
        r"berth::store::Store::open → berth::store::salvage": 1,
        r"berth::store::Store::write → berth::store::Store::makeRoomLocked": 1,
        r"berth::store::Store::initialise::\{lambda#1\} → berth::store::Store::syncLoop": 1,
        r"berth::streams::listenAt": 1,
        r"berth::support::removeTree → berth::support::TreeRemover::empty": 1,
        r"berth::support::replaceFile → berth_durable_step": 1,
    }),
    (DAMAGE, {
        r"berth::(?:cni|kata|runc)::.*AsideFolder": 4,
        r"berth::support::AsideFolder::": 4,
        r"berth::cni::releaseEmptyReservations": 2,
        r"berth::engine::(?:Orphans::|unmountAll)": 5,
        r"berth::engine::Recovery::tellOfDeparted": 1,
        r"berth::images::Catalog::(?:keepRemnant|load)": 3,
        r"berth::kata::endCgroups|berth::runc::removeCgroup": 2,
        r"berth::overlay::LayerStore::(?:makeRoom|takeAway)": 2,
        r"berth::runc::deleteFromRuntime → berth::support::removeTree": 2,
        r"berth::store::Store::open(?:With)? → (?:berth_durable_step|berth::store::Store::)": 3,
    }),
    (GONE, {
        r"berth::engine::Engine::releaseRestore": 1,
        r"berth::kata::(?:releasePod|removeStaleSocket) → berth::support::removePath": 2,
        r"berth::kata::keeper::Keeper::open → berth_durable_step": 1,
        r"berth::overlay::SnapshotStore::(?:clearVolatileMark|unmount)": 2,
        r"berth::kata::.* → berth::support::removeTemporaries": 1,
        r"berth::program::(?:tellOfSocket|tieFolders|writeTie) → berth::support::remove": 3,
        r"berth::runc::RuntimePlugin::start::\{lambda#1\} → berth::support::removeTemporaries": 1,
        r"berth::runc::monitor::(?:Checkpoint::~Checkpoint|Removal::unmountState)": 2,
        r"berth::runc::monitor::StartOperation::runRuntime": 1,
        r"berth::store::salvage → berth::support::removePath": 1,
        r"berth::streams::PacketServer::open → berth_durable_step": 1,
    }),
    (CUT_OFF, {
        r"berth::store::Store::open → berth::store::replaceBySalvaged": 1,
    }),
    (THERE, {
        r"berth::cni::Records::prepare → berth::support::makeDirectories": 1,
        r"berth::cri::Server::start → berth::support::makeDirectories": 1,
        r"berth::engine::Engine::checkpointToFolder → berth::support::makeDirectories": 1,
        r"berth::(?:kata::Kata|runc::Runtime)Plugin::makePod → berth::support::makeDirectories": 2,
        r"berth::overlay::Layout::create → berth::support::makeDirectories": 1,
        r"berth::runc::monitor::makeParents": 1,
    }),
    (IMAGES, {
        r"berth::engine::(?:Engine::importImage|ImportedCheckpoint::~ImportedCheckpoint)": 3,
    }),
    (KINDS, {
        r"berth::common::copyTree": 1,
        r"berth::engine::Engine::buildContainer → berth::support::makeDirectories": 1,
        r"berth::untar::Extractor::": 3,
        r"berth::volumes::(?:attachMappedMounts|makeInRootfs)": 2,
    }),
    (ELSEWHERE, {
        r"berth::images::askHelper": 1,
        r"berth::isolation::PluginProcess::start": 1,
        r"berth::kata::keeper::Process::(?:forget|noteOom)": 2,
        r"berth::overlay::mountHere": 3,
        r"berth::runc::tellCriuItsCgroup": 2,
        r"berth::signatures::OpenPgp::ask": 1,
        r"berth::spec::loadDefaultAppArmorProfile": 1,
    }),
    (TRIAL, {
        r"berth::program::judgeNextStart → berth::support::run": 1,
    }),
    (LATER, {
        r"berth::engine::LifeEvents::noteListeners → berth::store::Store::erase": 1,
    }),
    (COPY, {
        r"berth::overlay::Sweeper::remove": 1,
    }),
]
