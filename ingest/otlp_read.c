/*
 * otlp_read.c - messages as otlp_write.c writes them, back into a batch (otlp.h). Pure.
 *
 * The value is walked twice by the same code: first against a batch of its own that takes streams but no
 * rows, then against the caller's. What the second walk can still fail with is memory. Fields may stand in
 * any order and come again: of a single value the last counts, as protobuf has it.
 */
#include "ingest/otlp.h"
#include "ingest/otlp_int.h"
#include "ingest/wire.h"

#define PAIRS_MAX (LP_META_PAIRS_MAX + 2) /* labels may stand beside the two reserved names */

struct reader {
    struct lp_batch *b;
    bool dry; /* the first walk: streams only */
    uint32_t stream;
    size_t npairs;
    struct lp_pair pairs[PAIRS_MAX]; /* attributes of the resource, then of each record */
};

/* Reads one message: field by field, each to the handler. */
typedef lp_rc (*field_fn)(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err);

static lp_rc
each_field(struct reader *r, struct lp_str msg, field_fn fn, void *ctx, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(msg);
    struct lp_wire_field f;
    lp_rc rc = LP_OK;
    while (rc == LP_OK && lp_wire_next(&rd, &f)) {
        rc = fn(r, &f, ctx, err);
    }
    return rc == LP_OK && rd.bad ? lp_err_set(err, LP_ERR_PARSE, "otlp: malformed protobuf") : rc;
}

static lp_rc
expect(const struct lp_wire_field *f, enum lp_wire_type type, const char *what, struct lp_err *err)
{
    return f->type == type ? LP_OK
                           : lp_err_set(err, LP_ERR_PARSE, "otlp: %s has wire type %d, not %d", what,
                                        (int)f->type, (int)type);
}

static lp_rc
any_field(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    (void)r;
    struct lp_str *text = ctx;
    if (f->number == LP_OTLP_ANY_STRING || f->number == LP_OTLP_ANY_BYTES) {
        *text = f->bytes;
        return expect(f, LP_WIRE_BYTES, "a value", err);
    }
    return f->number > LP_OTLP_ANY_LAST
               ? LP_OK
               : lp_err_set(err, LP_ERR_PARSE, "otlp: a value is neither string nor bytes");
}

static lp_rc
pair_field(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    struct lp_pair *p = ctx;
    if (f->number == LP_OTLP_PAIR_KEY) {
        p->name = f->bytes;
        return expect(f, LP_WIRE_BYTES, "an attribute's key", err);
    }
    if (f->number != LP_OTLP_PAIR_VALUE) {
        return LP_OK;
    }
    lp_rc rc = expect(f, LP_WIRE_BYTES, "an attribute's value", err);
    return rc == LP_OK ? each_field(r, f->bytes, any_field, &p->value, err) : rc;
}

/* One more attribute into r->pairs. */
static lp_rc
read_attribute(struct reader *r, const struct lp_wire_field *f, struct lp_err *err)
{
    lp_rc rc = expect(f, LP_WIRE_BYTES, "an attribute", err);
    if (rc != LP_OK) {
        return rc;
    }
    if (r->npairs == PAIRS_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "otlp: more than %d attributes", PAIRS_MAX);
    }
    struct lp_pair *p = &r->pairs[r->npairs++];
    *p = (struct lp_pair){LP_STR_NULL, LP_STR_NULL};
    return each_field(r, f->bytes, pair_field, p, err);
}

struct record {
    int64_t time_ns;
    struct lp_str line;
};

static lp_rc
record_field(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    struct record *record = ctx;
    lp_rc rc = LP_OK;
    switch (f->number) {
    case LP_OTLP_RECORD_TIME:
        record->time_ns = (int64_t)f->value;
        rc = expect(f, LP_WIRE_FIXED64, "a record's time", err);
        if (rc == LP_OK && record->time_ns == LP_TIME_NONE) {
            rc = lp_err_set(err, LP_ERR_PARSE, "otlp: a record's time is out of range");
        }
        break;
    case LP_OTLP_RECORD_BODY:
        rc = expect(f, LP_WIRE_BYTES, "a record's body", err);
        if (rc == LP_OK) {
            rc = each_field(r, f->bytes, any_field, &record->line, err);
        }
        break;
    case LP_OTLP_RECORD_ATTRIBUTES:
        rc = read_attribute(r, f, err);
        break;
    default:
        break;
    }
    return rc;
}

static lp_rc
read_record(struct reader *r, struct lp_str msg, struct lp_err *err)
{
    struct record record = {LP_TIME_NONE, LP_STR_NULL};
    r->npairs = 0;
    lp_rc rc = each_field(r, msg, record_field, &record, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (!r->dry) {
        return lp_batch_add(r->b, r->stream, record.time_ns, record.line, false, r->pairs, r->npairs, err);
    }
    size_t npairs = r->npairs + r->b->streams[r->stream].nextra; /* what lp_batch_add would refuse */
    return npairs <= LP_META_PAIRS_MAX
               ? LP_OK
               : lp_err_set(err, LP_ERR_LIMIT, "otlp: a record has %zu attributes, more than %d", npairs,
                            LP_META_PAIRS_MAX);
}

static lp_rc
scope_field(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    (void)ctx;
    if (f->number != LP_OTLP_SCOPE_LOGS_RECORDS) {
        return LP_OK;
    }
    lp_rc rc = expect(f, LP_WIRE_BYTES, "a log record", err);
    return rc == LP_OK ? read_record(r, f->bytes, err) : rc;
}

static lp_rc
resource_field(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    (void)ctx;
    return f->number == LP_OTLP_RESOURCE_ATTRIBUTES ? read_attribute(r, f, err) : LP_OK;
}

static lp_rc
find_resource(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    (void)ctx;
    if (f->number != LP_OTLP_RESOURCE_LOGS_RESOURCE) {
        return LP_OK;
    }
    lp_rc rc = expect(f, LP_WIRE_BYTES, "a resource", err);
    return rc == LP_OK ? each_field(r, f->bytes, resource_field, NULL, err) : rc;
}

static lp_rc
find_scopes(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    (void)ctx;
    if (f->number != LP_OTLP_RESOURCE_LOGS_SCOPE_LOGS) {
        return LP_OK;
    }
    lp_rc rc = expect(f, LP_WIRE_BYTES, "scope logs", err);
    return rc == LP_OK ? each_field(r, f->bytes, scope_field, NULL, err) : rc;
}

/* Takes the instance out of r->pairs; unlike a push's (labels.c) of any length: here it is what a batch had.
 */
static struct lp_instance
take_instance(struct reader *r)
{
    struct lp_instance inst = {LP_STR_NULL, LP_STR_NULL};
    size_t kept = 0;
    for (size_t i = 0; i < r->npairs; i++) {
        if (lp_str_eqc(r->pairs[i].name, LP_LABEL_POD_UID)) {
            inst.uid = r->pairs[i].value;
        } else if (lp_str_eqc(r->pairs[i].name, LP_LABEL_INCARNATION)) {
            inst.incarnation = r->pairs[i].value;
        } else {
            r->pairs[kept++] = r->pairs[i];
        }
    }
    r->npairs = kept;
    return inst;
}

/* The resource may stand behind its records: it is looked for first. */
static lp_rc
request_field(struct reader *r, const struct lp_wire_field *f, void *ctx, struct lp_err *err)
{
    (void)ctx;
    if (f->number != LP_OTLP_REQUEST_RESOURCE_LOGS) {
        return LP_OK;
    }
    r->npairs = 0;
    lp_rc rc = expect(f, LP_WIRE_BYTES, "resource logs", err);
    if (rc == LP_OK) {
        rc = each_field(r, f->bytes, find_resource, NULL, err);
    }
    if (rc == LP_OK) {
        struct lp_instance inst = take_instance(r);
        rc = lp_batch_stream(r->b, r->pairs, r->npairs, &inst, &r->stream, err);
    }
    return rc == LP_OK ? each_field(r, f->bytes, find_scopes, NULL, err) : rc;
}

lp_rc
lp_otlp_read(struct lp_str value, struct lp_batch *b, struct lp_err *err)
{
    struct lp_batch *streams = lp_batch_new(b->tenant, b->ar.budget, 0);
    if (streams == NULL) {
        return lp_err_set(err, LP_ERR_LIMIT, "otlp: no memory is left for the message");
    }
    struct reader *r = lp_calloc(1, sizeof(*r));
    r->b = streams;
    r->dry = true;
    lp_rc rc = each_field(r, value, request_field, NULL, err);
    lp_batch_free(streams);
    if (rc == LP_OK) {
        r->b = b;
        r->dry = false;
        rc = each_field(r, value, request_field, NULL, err);
    }
    lp_free(r);
    return rc;
}
