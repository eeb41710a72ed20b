//! People in the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countermand_core::fleet::{Person, PersonRow};
use countermand_core::id::PersonId;
use countermand_core::join::take_row;
use sqlx::{AnyConnection, Row};

use super::follow::Touched;
use super::rows::{AT_ONCE, from_json, numbered, one_of, to_json, values};
use super::write::Write;
use super::{Result, StoreError};

/// Whose each of the addresses is.
pub(super) async fn by_address(
    db: &mut AnyConnection,
    addresses: &[String],
) -> Result<HashMap<String, PersonId>> {
    let mut found = HashMap::new();
    for chunk in addresses.chunks(AT_ONCE) {
        let sql = one_of(
            "SELECT address, person FROM person_address WHERE address IN",
            1,
            chunk.len(),
            "",
        );
        let query = chunk.iter().fold(sqlx::query(sql), |q, a| q.bind(a));
        for row in query.fetch_all(&mut *db).await? {
            found.insert(
                row.try_get("address")?,
                PersonId(row.try_get::<i64, _>("person")? as u32),
            );
        }
    }
    Ok(found)
}

/// The people with these numbers; all of them, if there are none.
pub(super) async fn load(db: &mut AnyConnection, ids: Option<&[PersonId]>) -> Result<Vec<Person>> {
    const COLUMNS: &str = "SELECT id, email, name, groups, locale, time_zone FROM person";
    const ADDRESSES: &str = "SELECT address, person FROM person_address";
    let numbers: Option<Vec<i64>> = ids.map(|ids| ids.iter().map(|id| i64::from(id.0)).collect());
    let numbers = numbers.as_deref();
    let mut people: BTreeMap<i64, Person> = BTreeMap::new();
    for row in numbered(db, COLUMNS, "id", numbers).await? {
        let id: i64 = row.try_get("id")?;
        let person = Person {
            id: PersonId(id as u32),
            email: row.try_get("email")?,
            aliases: BTreeSet::new(),
            name: row.try_get("name")?,
            groups: from_json(row.try_get("groups")?)?,
            locale: row.try_get("locale")?,
            time_zone: row.try_get("time_zone")?,
        };
        people.insert(id, person);
    }
    let addresses = numbered(db, ADDRESSES, "person", numbers).await?;
    for row in addresses {
        let address: String = row.try_get("address")?;
        if let Some(person) = people.get_mut(&row.try_get::<i64, _>("person")?)
            && person.email != address
        {
            person.aliases.insert(address);
        }
    }
    Ok(people.into_values().collect())
}

/// Joins rows of a staff list to the people known by any shared address, in the order of the list.
pub(super) async fn import(write: &mut Write, rows: &[PersonRow]) -> Result<()> {
    let all: Vec<String> = rows
        .iter()
        .flat_map(|r| std::iter::once(&r.email).chain(&r.aliases))
        .cloned()
        .collect();
    let mut owner = by_address(write.db(), &all).await?;
    let known: Vec<PersonId> = owner
        .values()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut people: BTreeMap<PersonId, Person> = load(write.db(), Some(&known))
        .await?
        .into_iter()
        .map(|p| (p.id, p))
        .collect();
    let mut next: i64 =
        sqlx::query_scalar("SELECT CAST(COALESCE(MAX(id), -1) + 1 AS BIGINT) FROM person")
            .fetch_one(write.db())
            .await?;
    let mut changed: BTreeSet<PersonId> = BTreeSet::new();
    let mut claims: Vec<(String, PersonId)> = Vec::new();
    for row in rows {
        let theirs: BTreeSet<PersonId> = std::iter::once(&row.email)
            .chain(&row.aliases)
            .filter_map(|a| owner.get(a))
            .copied()
            .collect();
        // Where two people known so far turn out to share an address, the one that the mail address
        // names takes the row; nobody's receipts are moved.
        let id = owner.get(&row.email).or(theirs.first()).copied();
        let id = id.unwrap_or_else(|| {
            next += 1;
            PersonId((next - 1) as u32)
        });
        let mut person = take_row(people.get(&id), id, row);
        for address in &person.aliases {
            if owner.get(address).is_some_and(|o| *o != id) {
                claims.push((address.clone(), id));
            }
        }
        person
            .aliases
            .retain(|a| owner.get(a).is_none_or(|o| *o == id));
        for address in person.addresses() {
            owner.insert(address.to_owned(), id);
        }
        changed.insert(id);
        people.insert(id, person);
    }
    let changed: Vec<&Person> = changed.iter().filter_map(|id| people.get(id)).collect();
    save(write, &changed).await?;
    for (address, person) in claims {
        sqlx::query("INSERT INTO person_claim (address, person) VALUES ($1, $2) ON CONFLICT (address, person) DO NOTHING")
            .bind(address)
            .bind(i64::from(person.0))
            .execute(write.db())
            .await?;
    }
    write.touch(Touched::People(changed.iter().map(|p| p.id).collect()));
    Ok(())
}

async fn save(write: &mut Write, people: &[&Person]) -> Result<()> {
    for chunk in people.chunks(AT_ONCE) {
        let sql = values(
            "INSERT INTO person (id, email, name, groups, locale, time_zone)",
            1,
            chunk.len(),
            6,
            "ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name, groups = excluded.groups, locale = excluded.locale, time_zone = excluded.time_zone",
        );
        let mut query = sqlx::query(sql);
        for person in chunk {
            query = query
                .bind(i64::from(person.id.0))
                .bind(&person.email)
                .bind(&person.name)
                .bind(to_json(&person.groups)?)
                .bind(&person.locale)
                .bind(&person.time_zone);
        }
        query.execute(write.db()).await?;
        let addresses: Vec<(&str, i64)> = chunk
            .iter()
            .flat_map(|p| p.addresses().map(|a| (a, i64::from(p.id.0))))
            .collect();
        for some in addresses.chunks(AT_ONCE) {
            let sql = values(
                "INSERT INTO person_address (address, person)",
                1,
                some.len(),
                2,
                "ON CONFLICT (address) DO NOTHING",
            );
            let query = some
                .iter()
                .fold(sqlx::query(sql), |q, (a, id)| q.bind(*a).bind(*id));
            query.execute(write.db()).await?;
        }
    }
    Ok(())
}

impl super::Store {
    /// The person with that number.
    pub async fn person(&self, id: PersonId) -> Result<Person> {
        let mut db = self.readers.acquire().await?;
        load(&mut db, Some(&[id]))
            .await?
            .pop()
            .ok_or_else(|| StoreError::NotFound(format!("there is no person number {id}")))
    }

    /// Every address by which whoever has `address` is known, under whatever number: of two accounts
    /// that some list gave to one person, each counts as the other (invariant 8).
    pub async fn same_person(&self, address: &str) -> Result<BTreeSet<String>> {
        const NEXT: &str = "SELECT b.address FROM person_address a JOIN person_address b ON b.person = a.person WHERE a.address = $1 \
             UNION SELECT c.address FROM person_address a JOIN person_claim c ON c.person = a.person WHERE a.address = $1 \
             UNION SELECT b.address FROM person_claim c JOIN person_address b ON b.person = c.person WHERE c.address = $1";
        let mut known = BTreeSet::from([address.to_owned()]);
        let mut to_ask = vec![address.to_owned()];
        while let Some(address) = to_ask.pop() {
            let found: Vec<String> = sqlx::query_scalar(NEXT)
                .bind(address)
                .fetch_all(&self.readers)
                .await?;
            to_ask.extend(found.into_iter().filter(|a| known.insert(a.clone())));
        }
        Ok(known)
    }
}
