//! Nodes: what they are and who is with them. Their items are in [`super::pubsub_items`].

use super::{Executor, Ids, Row, accounts, address, bound, damaged, ids::outward, pubsub_items};
use crate::{
    Affiliation, Micros, NewNode, Node, NodeChange, NodeHead, NodeKey, NodeQuota, NodeSubscription,
    Result, StoreError, quota,
};
use bytes::Bytes;
use waxwing_proto::BareJid;

const OWNER: &str = "SELECT number FROM pubsub_owner WHERE jid = ?1";
const ADD_OWNER: &str = "INSERT INTO pubsub_owner (number, jid, account) VALUES (?1, ?2, ?3)";
const QUOTA: &str = "SELECT nodes, bytes FROM pubsub_owner WHERE number = ?1";
const SET_QUOTA: &str = "UPDATE pubsub_owner SET nodes = ?2, bytes = ?3 WHERE number = ?1";
const ADD: &str = "INSERT INTO pubsub_node (number, owner, name, version, config, lifetime) \
     VALUES (?1, ?2, ?3, ?1, ?4, ?5)";
const NODE: &str =
    "SELECT number, name, version, config FROM pubsub_node WHERE owner = ?1 AND name = ?2";
const NODES: &str =
    "SELECT number, name, version, config FROM pubsub_node WHERE owner = ?1 ORDER BY name";
const SET_VERSION: &str = "UPDATE pubsub_node SET version = ?2 WHERE number = ?1";
const NODES_WITH: &str = "SELECT number, name, version, config FROM pubsub_node \
     WHERE owner = ?1 AND number IN (SELECT node FROM pubsub_affiliation WHERE jid = ?2 \
     UNION SELECT node FROM pubsub_subscription WHERE jid = ?2 \
     UNION SELECT node FROM pubsub_subscription WHERE jid >= ?3 AND jid < ?4) ORDER BY name";
const SET_CONFIG: &str = "UPDATE pubsub_node SET config = ?2, lifetime = ?3 WHERE number = ?1";
const MORTAL: &str =
    "SELECT number, owner, lifetime FROM pubsub_node WHERE lifetime IS NOT NULL ORDER BY number";
const DELETE: &str = "DELETE FROM pubsub_node WHERE number = ?1";
const AFFILIATIONS: &str =
    "SELECT jid, affiliation FROM pubsub_affiliation WHERE node = ?1 ORDER BY jid";
const AFFILIATE: &str = "INSERT INTO pubsub_affiliation (node, jid, affiliation) \
     VALUES (?1, ?2, ?3) ON CONFLICT (node, jid) DO UPDATE SET affiliation = excluded.affiliation";
const DISAFFILIATE: &str = "DELETE FROM pubsub_affiliation WHERE node = ?1 AND jid = ?2";
const AFFILIATED: &str = "SELECT count(*) FROM pubsub_affiliation WHERE node = ?1";
const SUBSCRIPTIONS: &str =
    "SELECT jid, pending, options FROM pubsub_subscription WHERE node = ?1 ORDER BY jid";
const SUBSCRIBE: &str = "INSERT INTO pubsub_subscription (node, jid, pending, options) \
     VALUES (?1, ?2, ?3, ?4) ON CONFLICT (node, jid) \
     DO UPDATE SET pending = excluded.pending, options = excluded.options";
const UNSUBSCRIBE: &str = "DELETE FROM pubsub_subscription WHERE node = ?1 AND jid = ?2";
const SUBSCRIBED: &str = "SELECT count(*) FROM pubsub_subscription WHERE node = ?1";

/// A node's row.
pub(super) struct Found {
    pub(super) number: i64,
    pub(super) owner: i64,
    pub(super) key: NodeKey,
    config: Vec<u8>,
}

impl Found {
    fn bytes(&self) -> i64 {
        bound(self.key.name.len() + self.config.len())
    }
}

pub(super) fn nodes(db: &mut dyn Executor, owner: &BareJid) -> Result<Vec<Node>> {
    let Some(owner) = find_owner(db, owner)? else {
        return Ok(Vec::new());
    };
    let rows = db.query(NODES, &[owner.into()])?;
    rows.into_iter()
        .map(|row| {
            let found = read(row, owner)?;
            whole(db, found)
        })
        .collect()
}

pub(super) fn nodes_with(
    db: &mut dyn Executor,
    owner: &BareJid,
    who: &BareJid,
) -> Result<Vec<Node>> {
    let Some(owner) = find_owner(db, owner)? else {
        return Ok(Vec::new());
    };
    // Full JIDs are what stands between "who/" and the character behind the slash.
    let (from, to) = (format!("{who}/"), format!("{who}0"));
    let params = [
        owner.into(),
        who.as_str().into(),
        from.as_str().into(),
        to.as_str().into(),
    ];
    let rows = db.query(NODES_WITH, &params)?;
    let nodes = rows.into_iter().map(|row| {
        let found = read(row, owner)?;
        let mut node = whole(db, found)?;
        node.affiliations.retain(|(jid, _)| jid == who);
        let own = |one: &NodeSubscription| one.jid.bare_str() == who.as_str();
        node.subscriptions.retain(own);
        Ok(node)
    });
    nodes.collect()
}

/// Removes the items that are too old for their nodes.
pub(super) fn expire(db: &mut dyn Executor, now: Micros) -> Result<u64> {
    let mut removed = 0;
    for mut row in db.query(MORTAL, &[])? {
        let (node, owner, lifetime) = (row.int()?, row.int()?, row.int()?);
        let (items, bytes) = pubsub_items::remove_old(db, node, now.saturating_sub(lifetime))?;
        if items > 0 {
            refund(db, owner, (0, bytes))?;
        }
        removed += items;
    }
    Ok(removed)
}

pub(super) fn node(db: &mut dyn Executor, owner: &BareJid, name: &str) -> Result<Option<Node>> {
    let found = find(db, owner, name)?;
    found.map(|found| whole(db, found)).transpose()
}

pub(super) fn heads(
    db: &mut dyn Executor,
    wanted: &[(BareJid, Vec<String>)],
) -> Result<Vec<NodeHead>> {
    let mut heads = Vec::new();
    for (jid, names) in wanted {
        let Some(owner) = find_owner(db, jid)? else {
            continue;
        };
        for name in names {
            let Some(found) = find_of(db, owner, name)? else {
                continue;
            };
            let item = pubsub_items::newest(db, found.number)?;
            heads.push(NodeHead {
                owner: jid.clone(),
                node: whole(db, found)?,
                item,
            });
        }
    }
    Ok(heads)
}

pub(super) fn create(
    db: &mut dyn Executor,
    ids: &mut Ids,
    owner: &BareJid,
    node: &NewNode,
    quota: NodeQuota,
) -> Result<NodeKey> {
    let before = *ids;
    let made = add(db, ids, owner, node, quota);
    if made.is_err() {
        *ids = before;
    }
    let found = made?.ok_or(StoreError::Exists)?;
    Ok(found.key)
}

/// Makes a node, unless there is one of that name.
pub(super) fn add(
    db: &mut dyn Executor,
    ids: &mut Ids,
    jid: &BareJid,
    node: &NewNode,
    quota: NodeQuota,
) -> Result<Option<Found>> {
    if find(db, jid, &node.name)?.is_some() {
        return Ok(None);
    }
    let number = ids.next(db, node.at)?;
    let owner = owner(db, jid, number)?;
    let params = [
        number.into(),
        owner.into(),
        node.name.as_str().into(),
        node.config.as_ref().into(),
        node.lifetime.into(),
    ];
    db.execute(ADD, &params)?;
    for (jid, affiliation) in &node.affiliations {
        affiliate(db, number, jid, Some(*affiliation))?;
    }
    charge(db, owner, (1, bound(node.bytes())), quota)?;
    let key = NodeKey {
        name: node.name.clone(),
        version: outward(number)?,
    };
    Ok(Some(Found {
        number,
        owner,
        key,
        config: node.config.to_vec(),
    }))
}

pub(super) fn change(
    db: &mut dyn Executor,
    ids: &mut Ids,
    owner: &BareJid,
    key: &NodeKey,
    change: &NodeChange,
    quota: NodeQuota,
) -> Result<NodeKey> {
    let before = *ids;
    let done = change_now(db, ids, owner, key, change, quota);
    if done.is_err() {
        *ids = before;
    }
    done
}

fn change_now(
    db: &mut dyn Executor,
    ids: &mut Ids,
    owner: &BareJid,
    key: &NodeKey,
    change: &NodeChange,
    quota: NodeQuota,
) -> Result<NodeKey> {
    let found = require(db, owner, key)?;
    let node = found.number;
    let version = ids.next(db, change.at)?;
    db.execute(SET_VERSION, &[node.into(), version.into()])?;
    for (jid, affiliation) in &change.affiliations {
        affiliate(db, node, jid, *affiliation)?;
    }
    let people_max = i64::from(quota.people_max);
    let adds = change.affiliations.iter().any(|(_, one)| one.is_some());
    if adds && count(db, AFFILIATED, node)? > people_max {
        return Err(StoreError::Quota(quota::NODE_AFFILIATIONS));
    }
    for jid in &change.unsubscribe {
        db.execute(UNSUBSCRIBE, &[node.into(), jid.as_str().into()])?;
    }
    for subscription in &change.subscribe {
        let params = [
            node.into(),
            subscription.jid.as_str().into(),
            subscription.pending.into(),
            subscription.options.as_ref().into(),
        ];
        db.execute(SUBSCRIBE, &params)?;
    }
    if !change.subscribe.is_empty() && count(db, SUBSCRIBED, node)? > people_max {
        return Err(StoreError::Quota(quota::NODE_SUBSCRIPTIONS));
    }
    let mut bytes = 0;
    if let Some(config) = &change.config {
        let params = [node.into(), config.as_ref().into(), change.lifetime.into()];
        db.execute(SET_CONFIG, &params)?;
        bytes = bound(config.len()) - bound(found.config.len());
    }
    if let Some(items_max) = change.items_max {
        bytes -= pubsub_items::evict(db, node, items_max)?.1;
    }
    charge(db, found.owner, (0, bytes), quota)?;
    Ok(NodeKey {
        name: key.name.clone(),
        version: outward(version)?,
    })
}

pub(super) fn delete(db: &mut dyn Executor, owner: &BareJid, key: &NodeKey) -> Result<()> {
    let found = require(db, owner, key)?;
    let bytes = found.bytes() + pubsub_items::bytes(db, found.number)?;
    db.execute(DELETE, &[found.number.into()])?;
    refund(db, found.owner, (1, bytes))
}

/// The node that a key names, if it is still the same.
pub(super) fn require(db: &mut dyn Executor, owner: &BareJid, key: &NodeKey) -> Result<Found> {
    if owner.local().is_some() {
        accounts::require(db, owner)?;
    }
    find(db, owner, &key.name)?
        .filter(|found| found.key == *key)
        .ok_or(StoreError::Conflict)
}

/// A node by its name.
pub(super) fn find(db: &mut dyn Executor, owner: &BareJid, name: &str) -> Result<Option<Found>> {
    match find_owner(db, owner)? {
        Some(owner) => find_of(db, owner, name),
        None => Ok(None),
    }
}

/// Counts nodes and bytes towards the quotas of their owner.
pub(super) fn charge(
    db: &mut dyn Executor,
    owner: i64,
    (nodes, bytes): (i64, i64),
    quota: NodeQuota,
) -> Result<()> {
    let row = db.query_first(QUOTA, &[owner.into()])?;
    let mut row = row.ok_or_else(|| damaged("an owner of nodes vanished"))?;
    let nodes_now = row.int()?.saturating_add(nodes);
    let bytes_now = row.int()?.saturating_add(bytes);
    if nodes > 0 && nodes_now > i64::from(quota.nodes_max) {
        return Err(StoreError::Quota(quota::NODES));
    }
    if bytes > 0 && bytes_now > bound(quota.bytes_max) {
        return Err(StoreError::Quota(quota::NODES_BYTES));
    }
    let params = [owner.into(), nodes_now.into(), bytes_now.into()];
    db.execute(SET_QUOTA, &params).map(drop)
}

/// Takes nodes and bytes that have gone off the quotas.
pub(super) fn refund(db: &mut dyn Executor, owner: i64, (nodes, bytes): (i64, i64)) -> Result<()> {
    let none = NodeQuota {
        nodes_max: 0,
        bytes_max: 0,
        people_max: 0,
    };
    charge(db, owner, (-nodes, -bytes), none)
}

fn find_owner(db: &mut dyn Executor, jid: &BareJid) -> Result<Option<i64>> {
    let row = db.query_first(OWNER, &[jid.as_str().into()])?;
    row.map(|mut row| row.int()).transpose()
}

/// The owner's row, made with `number` if there is none yet.
fn owner(db: &mut dyn Executor, jid: &BareJid, number: i64) -> Result<i64> {
    let account = match jid.local() {
        Some(_) => Some(accounts::number(db, jid)?),
        None => None,
    };
    if let Some(found) = find_owner(db, jid)? {
        return Ok(found);
    }
    let params = [number.into(), jid.as_str().into(), account.into()];
    db.execute(ADD_OWNER, &params)?;
    Ok(number)
}

fn find_of(db: &mut dyn Executor, owner: i64, name: &str) -> Result<Option<Found>> {
    let row = db.query_first(NODE, &[owner.into(), name.into()])?;
    row.map(|row| read(row, owner)).transpose()
}

fn read(mut row: Row, owner: i64) -> Result<Found> {
    Ok(Found {
        number: row.int()?,
        owner,
        key: NodeKey {
            name: row.text()?,
            version: row.count()?,
        },
        config: row.bytes()?,
    })
}

fn whole(db: &mut dyn Executor, found: Found) -> Result<Node> {
    let rows = db.query(AFFILIATIONS, &[found.number.into()])?;
    let affiliations = rows.into_iter().map(|mut row| {
        let jid = address(&row.text()?)?;
        Ok((jid, affiliation(row.int()?)?))
    });
    let affiliations = affiliations.collect::<Result<_>>()?;
    let rows = db.query(SUBSCRIPTIONS, &[found.number.into()])?;
    let subscriptions = rows.into_iter().map(|mut row| {
        Ok(NodeSubscription {
            jid: address(&row.text()?)?,
            pending: row.flag()?,
            options: Bytes::from(row.bytes()?),
        })
    });
    Ok(Node {
        key: found.key,
        config: found.config.into(),
        affiliations,
        subscriptions: subscriptions.collect::<Result<_>>()?,
    })
}

fn affiliate(
    db: &mut dyn Executor,
    node: i64,
    jid: &BareJid,
    affiliation: Option<Affiliation>,
) -> Result<()> {
    let jid = jid.as_str();
    let done = match affiliation {
        Some(affiliation) => {
            let number: i64 = match affiliation {
                Affiliation::Owner => 1,
                Affiliation::Publisher => 2,
                Affiliation::PublishOnly => 3,
                Affiliation::Member => 4,
                Affiliation::Outcast => 5,
            };
            db.execute(AFFILIATE, &[node.into(), jid.into(), number.into()])
        }
        None => db.execute(DISAFFILIATE, &[node.into(), jid.into()]),
    };
    done.map(drop)
}

fn affiliation(number: i64) -> Result<Affiliation> {
    match number {
        1 => Ok(Affiliation::Owner),
        2 => Ok(Affiliation::Publisher),
        3 => Ok(Affiliation::PublishOnly),
        4 => Ok(Affiliation::Member),
        5 => Ok(Affiliation::Outcast),
        _ => Err(damaged("an affiliation is unknown")),
    }
}

fn count(db: &mut dyn Executor, sql: &'static str, node: i64) -> Result<i64> {
    let row = db.query_first(sql, &[node.into()])?;
    row.ok_or_else(|| damaged("no count"))?.int()
}
