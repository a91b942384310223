/*
 * catalog.h - the catalog: what is stored where, in LMDB (FORMAT.md section 4). The one door to lmdb.h is catalog*.c.
 *
 * Threads: any number of readers, each with its own short transaction; one writer at a time (the store's seal and
 * maintenance, which serialise themselves). A read transaction must end before its thread writes, and must not be held
 * over I/O on segments. Slices that reads return point into the map and are valid until the transaction ends.
 * All values are checked against their CRC when read.
 */
#ifndef LP_STORE_CATALOG_H
#define LP_STORE_CATALOG_H

#include "base/io.h"
#include "store/footer.h"
#include "store/idset.h"
#include "store/pod_facts.h"

struct lp_catalog;
struct lp_cat_txn; /* a read transaction */

struct lp_cat_counters {
    uint64_t sealed; /* last generation stored; 0: none */
    uint64_t next_stream, next_group, next_segment;
};

/* Opens DIR/catalog, making it when `create` is set and it is not there. LP_ERR_NOT_FOUND when it is not there and may not be made. */
lp_rc lp_catalog_open(const struct lp_io *io, const char *dir, bool create, struct lp_catalog **ret,
                      struct lp_err *err) LP_MUST_USE;
/* All read transactions must have ended. NULL is fine. */
void lp_catalog_close(struct lp_catalog *cat);
/*
 * Notes which folder the catalog lies in (bytes that tell it from a copy, lp_io_birth). In another folder than before it is a copy: it gets
 * a new UUID and keeps the old ones as earlier identities. Before anything else is written.
 */
lp_rc lp_catalog_settle(struct lp_catalog *cat, struct lp_str folder, bool *ret_copied, struct lp_err *err) LP_MUST_USE;
const struct lp_uuid *lp_catalog_uuid(const struct lp_catalog *cat);
/* The same, then those of the stores that this one was copied from, newest first. */
const struct lp_uuid *lp_catalog_uuids(const struct lp_catalog *cat, size_t *ret_n);
bool lp_catalog_uuid_known(const struct lp_catalog *cat, const struct lp_uuid *uuid);

/* --- reading --- */
lp_rc lp_cat_begin(struct lp_catalog *cat, struct lp_cat_txn **ret, struct lp_err *err) LP_MUST_USE;
void lp_cat_end(struct lp_cat_txn *t);

lp_rc lp_cat_counters(struct lp_cat_txn *t, struct lp_cat_counters *ret, struct lp_err *err) LP_MUST_USE;
/* LP_ERR_NOT_FOUND when the tenant, or label, was never seen. */
lp_rc lp_cat_tenant(struct lp_cat_txn *t, struct lp_str name, uint32_t *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_cat_label(struct lp_cat_txn *t, uint32_t tenant, struct lp_str name, uint32_t *ret, struct lp_err *err) LP_MUST_USE;

/* Visitors return false to stop (the walk then returns LP_OK). */
typedef bool (*lp_cat_name_fn)(void *arg, struct lp_str name, uint32_t label);
lp_rc lp_cat_labels(struct lp_cat_txn *t, uint32_t tenant, lp_cat_name_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
/* A growing list of ids, by rising id. */
struct lp_ids {
    uint64_t *v;
    size_t n, cap;
};
void lp_ids_add(struct lp_ids *ids, uint64_t id);
void lp_ids_clear(struct lp_ids *ids);
/* Sorts and removes repeats. */
void lp_ids_sort(struct lp_ids *ids);
/* --- postings: sets of streams, whose limit is next_stream. What is added to a set stays if a call fails. --- */

/* As it is stored; valid as long as the transaction. */
struct lp_cat_posting {
    struct lp_str bytes;
};
lp_rc lp_cat_posting_add(struct lp_cat_txn *t, const struct lp_cat_posting *p, struct lp_idset *set, struct lp_err *err) LP_MUST_USE;
/* Calls fn for runs of ids [first, end), rising, all below the limit. */
typedef void (*lp_cat_run_fn)(void *arg, uint64_t first, uint64_t end);
lp_rc lp_cat_posting_runs(struct lp_cat_txn *t, const struct lp_cat_posting *p, uint64_t limit, lp_cat_run_fn fn, void *arg,
                          struct lp_err *err) LP_MUST_USE;
/* Adds the streams that have label = value; those that have the label; all of the tenant; those of a group. None is no error. */
lp_rc lp_cat_value_ids(struct lp_cat_txn *t, uint32_t tenant, uint32_t label, struct lp_str value, struct lp_idset *set,
                       struct lp_err *err) LP_MUST_USE;
lp_rc lp_cat_label_ids(struct lp_cat_txn *t, uint32_t tenant, uint32_t label, struct lp_idset *set, struct lp_err *err) LP_MUST_USE;
lp_rc lp_cat_tenant_ids(struct lp_cat_txn *t, uint32_t tenant, struct lp_idset *set, struct lp_err *err) LP_MUST_USE;
lp_rc lp_cat_group_ids(struct lp_cat_txn *t, uint32_t tenant, uint64_t group, struct lp_idset *set, struct lp_err *err) LP_MUST_USE;

typedef bool (*lp_cat_value_fn)(void *arg, struct lp_str value, const struct lp_cat_posting *p);
/* Distinct values of a label that begin with prefix (and, with a prefix of over 200 bytes, some others), in the order of their first 200 bytes; whole. */
lp_rc lp_cat_values(struct lp_cat_txn *t, uint32_t tenant, struct lp_str name, uint32_t label, struct lp_str prefix,
                    lp_cat_value_fn fn, void *arg, struct lp_err *err);
typedef bool (*lp_cat_group_fn)(void *arg, uint64_t group, const struct lp_cat_posting *p);
/* The tenant's groups, by rising id. */
lp_rc lp_cat_groups(struct lp_cat_txn *t, uint32_t tenant, lp_cat_group_fn fn, void *arg, struct lp_err *err);

/* --- streams: 64 of them are packed, and read at once. A pack belongs to one thread; streams never change. --- */

#define LP_CAT_PACK_STREAMS 64u
struct lp_cat_pack {
    uint64_t number; /* of the pack that was read last: id / 64; UINT64_MAX: none */
    unsigned n;
    uint64_t groups[LP_CAT_PACK_STREAMS];
    struct lp_str keys[LP_CAT_PACK_STREAMS];
    char *bytes;
    struct lp_codec *codec;
};
void lp_cat_pack_init(struct lp_cat_pack *p);
void lp_cat_pack_clear(struct lp_cat_pack *p);
/* LP_ERR_CORRUPT when there is no such stream. The key is the pack's, until it reads another. */
lp_rc lp_cat_stream(struct lp_cat_txn *t, uint64_t id, struct lp_cat_pack *p, uint64_t *ret_group, struct lp_str *ret_key,
                    struct lp_err *err) LP_MUST_USE;
/* Its group alone: nothing is decoded. */
lp_rc lp_cat_stream_group(struct lp_cat_txn *t, uint64_t id, uint64_t *ret, struct lp_err *err) LP_MUST_USE;
/* One key, in ar's memory. */
lp_rc lp_cat_stream_key(struct lp_cat_txn *t, uint64_t id, struct lp_arena *ar, struct lp_stream_key *ret, struct lp_err *err) LP_MUST_USE;
/* The stream with this hash and its group, LP_ERR_NOT_FOUND. Cheapest by rising hash (hi, lo). */
lp_rc lp_cat_find_stream(struct lp_cat_txn *t, struct lp_hash128 hash, uint64_t *ret_id, uint64_t *ret_group,
                         struct lp_err *err) LP_MUST_USE;
lp_rc lp_cat_find_group(struct lp_cat_txn *t, struct lp_str group_key, uint64_t *ret_id, struct lp_err *err) LP_MUST_USE;

struct lp_cat_entry {
    uint64_t group, segment, rows, bytes;
    uint64_t stored; /* bytes of the group's blocks in the file; 0: not known (rows of older versions) */
    int64_t min_ns, max_ns;
};
typedef bool (*lp_cat_entry_fn)(void *arg, const struct lp_cat_entry *e);
/* The group's parts of segments that overlap [from, to), by rising largest time. */
lp_rc lp_cat_entries(struct lp_cat_txn *t, uint64_t group, int64_t from_ns, int64_t to_ns, lp_cat_entry_fn fn,
                     void *arg, struct lp_err *err) LP_MUST_USE;
typedef bool (*lp_cat_group_key_fn)(void *arg, uint64_t id, struct lp_str key);
/* The groups of all tenants, in no order. Keys live as long as the transaction. */
lp_rc lp_cat_group_keys(struct lp_cat_txn *t, lp_cat_group_key_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
typedef bool (*lp_cat_stream_fn)(void *arg, uint64_t id, uint64_t group, struct lp_str key);
/* The streams of all tenants, by rising id. A key is the visitor's only while it looks at it. */
lp_rc lp_cat_streams(struct lp_cat_txn *t, lp_cat_stream_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
/* The bytes of the current cutoffs (cutoffs.h); LP_ERR_NOT_FOUND when there never were any. */
lp_rc lp_cat_cutoffs(struct lp_cat_txn *t, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;

/* Those of all groups, whatever their times. */
lp_rc lp_cat_entries_all(struct lp_cat_txn *t, lp_cat_entry_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;

struct lp_cat_segment {
    uint64_t id, rows, bytes, file_bytes;
    uint64_t first_generation, generation; /* it holds rows of these and of those between */
    int64_t min_ns, max_ns;
    int64_t created_ns; /* when the newest of its rows was sealed; 0: not known (of older versions, where the file does not tell) */
    uint32_t dir_crc;
    uint8_t level; /* enum lp_seg_level (compact_pick.h) */
};
typedef bool (*lp_cat_segment_fn)(void *arg, const struct lp_cat_segment *s);
lp_rc lp_cat_segments(struct lp_cat_txn *t, lp_cat_segment_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
/* LP_ERR_NOT_FOUND when no row names it. */
lp_rc lp_cat_segment(struct lp_cat_txn *t, uint64_t id, struct lp_cat_segment *ret, struct lp_err *err) LP_MUST_USE;

/* --- pods, by rising (namespace, name, uid) --- */

typedef bool (*lp_cat_pod_fn)(void *arg, const struct lp_pod_id *id, const struct lp_pod_facts *facts);
struct lp_cat_pods_query {
    struct lp_str tenant;
    struct lp_str ns;                   /* empty: all */
    struct lp_str after_ns, after_name; /* only pods behind this one; both empty: all */
    const struct lp_pair *facts;        /* pods that are known not to have one of them are passed over, which is quick; others may come all the same */
    size_t nfacts;                      /* of more than LP_CAT_POD_FACTS the first count */
};
#define LP_CAT_POD_FACTS 16
/* What fn gets is its only while it looks at it. */
lp_rc lp_cat_pods(struct lp_cat_txn *t, const struct lp_cat_pods_query *q, lp_cat_pod_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
/* The pods of one name: one for each uid. */
lp_rc lp_cat_pods_named(struct lp_cat_txn *t, struct lp_str tenant, struct lp_str ns, struct lp_str name, lp_cat_pod_fn fn,
                        void *arg, struct lp_err *err) LP_MUST_USE;

/* LP_ERR_NOT_FOUND when the partition was never stored. */
struct lp_cat_place {
    uint64_t next, epoch;
    uint64_t anchor; /* what stood at next - 1; 0: not known */
};
lp_rc lp_cat_position(struct lp_cat_txn *t, const char *log, uint32_t partition, struct lp_cat_place *ret,
                      struct lp_err *err) LP_MUST_USE;
typedef bool (*lp_cat_position_fn)(void *arg, struct lp_str log, uint32_t partition, uint64_t next, uint64_t epoch);
lp_rc lp_cat_positions(struct lp_cat_txn *t, lp_cat_position_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
typedef bool (*lp_cat_id_fn)(void *arg, const struct lp_batch_id *id);
lp_rc lp_cat_ids(struct lp_cat_txn *t, lp_cat_id_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
/* Segment ids handed out that no row names, and those whose removal was decided. */
lp_rc lp_cat_reserved(struct lp_cat_txn *t, struct lp_ids *ids, struct lp_err *err) LP_MUST_USE;
lp_rc lp_cat_removed(struct lp_cat_txn *t, struct lp_ids *ids, struct lp_err *err) LP_MUST_USE;

/* --- writing: each call is one synced transaction --- */

/* Hands out n segment ids, noted in `reserved` until a row names them. */
lp_rc lp_catalog_reserve(struct lp_catalog *cat, unsigned n, uint64_t *ret_first, struct lp_err *err) LP_MUST_USE;
/* Forgets reserved ids whose files start-up dealt with, and removed ids whose files are gone. */
lp_rc lp_catalog_forget(struct lp_catalog *cat, const struct lp_ids *reserved, const struct lp_ids *removed,
                        struct lp_err *err) LP_MUST_USE;

/* Errors as of lp_catalog_commit. */
lp_rc lp_catalog_put_cutoffs(struct lp_catalog *cat, struct lp_str cutoffs, struct lp_err *err) LP_MUST_USE;

struct lp_cat_new_stream {
    uint64_t id, group;
    struct lp_hash128 hash;
    struct lp_str key;
};

/* A pod, and what was learned of it. */
struct lp_cat_pod {
    struct lp_str tenant;
    struct lp_pod_id id;
    struct lp_str facts; /* as lp_pod_facts_write writes all of them */
};

/* All that one generation stores. Arrays are borrowed. */
struct lp_cat_commit {
    struct lp_cat_segment segment;
    const struct lp_cat_new_stream *streams; /* by rising id */
    size_t nstreams;
    const struct lp_foot_group *groups; /* new ones */
    size_t ngroups;
    const struct lp_cat_entry *entries; /* segment is filled in */
    size_t nentries;
    const struct lp_foot_ticket *positions;
    size_t npositions;
    const struct lp_batch_id *ids;
    size_t nids;
    const struct lp_cat_pod *pods; /* new ones, and those of which something was learned; of one that comes several times all is learned */
    size_t npods;
    int64_t ids_before_ns; /* generations whose ids were all received before this are dropped */
};
/*
 * The moment of storage. LP_ERR_DISK_FULL: nothing happened, try again when there is space. LP_ERR_IO or LP_ERR_CORRUPT: the
 * environment must not be used any more; the process should end and start again.
 */
lp_rc lp_catalog_commit(struct lp_catalog *cat, const struct lp_cat_commit *c, struct lp_err *err) LP_MUST_USE;

/* Segments that take the place of others, or of nothing. Arrays are borrowed. */
struct lp_cat_replace {
    const struct lp_cat_segment *added;
    size_t nadded;
    const struct lp_cat_entry *added_entries;
    size_t nadded_entries;
    const uint64_t *gone; /* ids */
    size_t ngone;
    const struct lp_cat_entry *gone_entries; /* all entries that name them: group, max_ns and segment count */
    size_t ngone_entries;
    int64_t now_ns;
};
/*
 * One transaction: rows and entries of the new segments come, those of the others go, and their ids are noted in `removed` until their
 * files are gone. *ret_txn: readers that began before it (lp_catalog_oldest_reader) may still look for those files.
 * LP_ERR_NOT_FOUND: one of them has no row; nothing happened. Otherwise as lp_catalog_commit.
 */
lp_rc lp_catalog_replace(struct lp_catalog *cat, const struct lp_cat_replace *r, uint64_t *ret_txn, struct lp_err *err) LP_MUST_USE;
/* Writes rows anew that are there: with what older versions did not note in them. */
lp_rc lp_catalog_note_segments(struct lp_catalog *cat, const struct lp_cat_segment *rows, size_t n, struct lp_err *err) LP_MUST_USE;
/* The state that the oldest living read transaction sees, as a transaction number; UINT64_MAX: there is none. */
uint64_t lp_catalog_oldest_reader(struct lp_catalog *cat);

#endif
