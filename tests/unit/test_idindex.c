/*
 * test_idindex.c - oracle: the entries that the index was made from; every one is found, whatever is flipped
 * in it is noticed. Wrongly named blocks: of the hash log2(entries) + 3 bits are kept, so a look-up for what
 * is not there names 1/16 to 1/8 of a block on average.
 */
#include "store/idindex.h"

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "tests/unit/store_fixture.h"

#define BLOCKS_MAX 5000u
#define HEAD_BYTES 12u

struct made {
    struct lp_id_entry *v; /* sorted by the encoder */
    size_t n;
    uint32_t nblocks;
    struct lp_buf section;
};

static void
make(struct made *m, size_t n, uint32_t nblocks, bool in_order, uint64_t seed)
{
    *m = (struct made){.v = lp_malloc(n * sizeof(*m->v)), .n = n, .nblocks = nblocks};
    for (size_t i = 0; i < n; i++) {
        uint32_t block = (uint32_t)(in_order ? i * nblocks / n : lp_rand(&seed) % nblocks);
        m->v[i] = (struct lp_id_entry){lp_rand(&seed), block};
        if (i > 0 && lp_rand(&seed) % 10 == 0) { /* the same id, here or in another block */
            m->v[i].hash = m->v[lp_rand(&seed) % i].hash;
        }
    }
    struct lp_id_entry *sorted = lp_malloc(n * sizeof(*sorted));
    memcpy(sorted, m->v, n * sizeof(*sorted));
    lp_buf_init(&m->section, SIZE_MAX);
    lp_idindex_encode(sorted, n, nblocks, &m->section);
    lp_free(sorted);
}

static void
clear(struct made *m)
{
    lp_free(m->v);
    lp_buf_clear(&m->section);
}

static uint32_t
count(const uint64_t *blocks)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w <= BLOCKS_MAX / 64; w++) {
        n += (uint32_t)__builtin_popcountll(blocks[w]);
    }
    return n;
}

/* Every entry is found; returns the blocks named in so many look-ups of hashes that are not there. */
static uint64_t
check(const struct made *m, unsigned lookups)
{
    struct lp_idindex *x;
    struct lp_buf *s = (struct lp_buf *)(uintptr_t)&m->section;
    uint64_t blocks[BLOCKS_MAX / 64 + 1], named = 0, seed = 99;
    uint32_t missing = 0;
    CU_ASSERT_EQUAL_FATAL(lp_idindex_open(lp_read_buf, s, s->n, m->nblocks, &x, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_idindex_prove(x, lp_read_buf, s, NULL), LP_OK);
    for (size_t i = 0; i < m->n; i++) {
        memset(blocks, 0, sizeof(blocks));
        CU_ASSERT_EQUAL_FATAL(lp_idindex_find(x, lp_read_buf, s, m->v[i].hash, blocks, NULL), LP_OK);
        missing += (blocks[m->v[i].block / 64] >> (m->v[i].block % 64) & 1) == 0;
    }
    CU_ASSERT_EQUAL(missing, 0);
    for (unsigned i = 0; i < lookups; i++) {
        memset(blocks, 0, sizeof(blocks));
        CU_ASSERT_EQUAL_FATAL(lp_idindex_find(x, lp_read_buf, s, lp_rand(&seed), blocks, NULL), LP_OK);
        named += count(blocks);
    }
    lp_idindex_free(x);
    return named;
}

static void
finds_every_id(void)
{
    static const struct {
        size_t n;
        uint32_t nblocks;
    } sizes[] = {{1, 1},   {1, 2},     {2, 1},     {3, 5000},    {511, 1},
                 {513, 2}, {1024, 64}, {1025, 65}, {5000, 5000}, {20000, 300}};
    for (size_t i = 0; i < LP_ARRAY_LEN(sizes); i++) {
        for (unsigned in_order = 0; in_order < 2; in_order++) {
            struct made m;
            make(&m, sizes[i].n, sizes[i].nblocks, in_order != 0, i + 1);
            check(&m, 0);
            clear(&m);
        }
    }
}

static void
names_few_blocks_that_do_not_have_it(void)
{
    struct made m;
    make(&m, 60000, 400, true, 5);
    uint64_t named = check(&m, 20000);
    CU_ASSERT(named > 20000 / 20 && named < 20000 / 7);
    CU_ASSERT(m.section.n < 60000 * (5 + 9) / 8 + 4096); /* some 4.6 bits a hash and 9 of the block */
    clear(&m);
}

static void
an_index_of_nothing_is_nothing(void)
{
    struct lp_buf out;
    struct lp_idindex *x;
    lp_buf_init(&out, SIZE_MAX);
    lp_buf_c(&out, "before");
    lp_idindex_encode(NULL, 0, 10, &out);
    CU_ASSERT_EQUAL(out.n, 6);
    CU_ASSERT_EQUAL(lp_idindex_open(lp_read_buf, &out, 0, 10, &x, NULL), LP_ERR_CORRUPT);
    lp_buf_clear(&out);
}

/* Blocks of an id are named together, and no more than once. */
static void
an_id_in_many_blocks(void)
{
    struct lp_id_entry v[600];
    uint64_t blocks[BLOCKS_MAX / 64 + 1] = {0};
    struct lp_idindex *x;
    struct made m = {.v = v, .n = 600, .nblocks = 700};
    lp_buf_init(&m.section, SIZE_MAX);
    for (uint32_t i = 0; i < 600; i++) {
        v[i] = (struct lp_id_entry){UINT64_C(0xfedcba9876543210), i % 300};
    }
    lp_idindex_encode(v, 600, 700, &m.section);
    CU_ASSERT_EQUAL_FATAL(lp_idindex_open(lp_read_buf, &m.section, m.section.n, 700, &x, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_idindex_find(x, lp_read_buf, &m.section, UINT64_C(0xfedcba9876543210), blocks, NULL),
                    LP_OK);
    CU_ASSERT_EQUAL(count(blocks), 300);
    CU_ASSERT(lp_idindex_memory(x) > 0);
    lp_idindex_free(x);
    lp_buf_clear(&m.section);
}

/* Opens, proves and asks for everything; true: nothing was refused. */
static bool
all_good(struct lp_buf *s, uint32_t nblocks)
{
    struct lp_idindex *x;
    uint64_t blocks[BLOCKS_MAX / 64 + 1];
    if (lp_idindex_open(lp_read_buf, s, s->n, nblocks, &x, NULL) != LP_OK) {
        return false;
    }
    bool ok = lp_idindex_prove(x, lp_read_buf, s, NULL) == LP_OK;
    for (uint64_t i = 0; i < 64; i++) {
        memset(blocks, 0, sizeof(blocks));
        lp_rc rc = lp_idindex_find(x, lp_read_buf, s, i << 58, blocks, NULL);
        LP_ASSERT(rc == LP_OK || rc == LP_ERR_CORRUPT);
        for (uint32_t k = nblocks; k <= BLOCKS_MAX; k++) {
            LP_ASSERT((blocks[k / 64] >> (k % 64) & 1) == 0);
        }
    }
    lp_idindex_free(x);
    return ok;
}

static void
every_flipped_bit_is_found(void)
{
    struct made m;
    uint32_t taken = 0;
    make(&m, 700, 9, false, 6);
    for (size_t i = 0; i < m.section.n * 8; i++) {
        m.section.p[i / 8] ^= (char)(1u << i % 8);
        taken += all_good(&m.section, 9);
        m.section.p[i / 8] ^= (char)(1u << i % 8);
    }
    CU_ASSERT_EQUAL(taken, 0);
    CU_ASSERT(all_good(&m.section, 9));
    CU_ASSERT(!all_good(&m.section, 10)); /* of another segment */
    clear(&m);
}

/* In a bucket that is damaged nothing is found, and it says so. */
static void
a_damaged_bucket_says_so(void)
{
    struct made m;
    struct lp_idindex *x;
    uint64_t blocks[BLOCKS_MAX / 64 + 1] = {0};
    make(&m, 3000, 20, true, 7);
    m.section.p[m.section.n - 1] ^= 1; /* the last bucket */
    CU_ASSERT_EQUAL_FATAL(lp_idindex_open(lp_read_buf, &m.section, m.section.n, 20, &x, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_idindex_find(x, lp_read_buf, &m.section, UINT64_MAX, blocks, NULL), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_idindex_find(x, lp_read_buf, &m.section, 0, blocks, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_idindex_prove(x, lp_read_buf, &m.section, NULL), LP_ERR_CORRUPT);
    lp_idindex_free(x);
    clear(&m);
}

/* Checksums of a made-up section, right. */
static void
mend(struct lp_buf *s)
{
    uint64_t buckets = UINT64_C(1) << ((uint8_t)s->p[8] & 31), head = HEAD_BYTES + buckets * 8 + 4, begin = 0;
    if (head > s->n) {
        return;
    }
    for (uint64_t i = 0; i < buckets; i++) {
        uint64_t end = lp_get_u32(s->p + HEAD_BYTES + i * 8);
        if (end < begin || end > s->n - head) {
            break;
        }
        lp_put_u32(s->p + HEAD_BYTES + i * 8 + 4, lp_crc32c(0, s->p + head + begin, (size_t)(end - begin)));
        begin = end;
    }
    lp_put_u32(s->p + head - 4, lp_crc32c(0, s->p, (size_t)head - 4));
}

static void
made_up_sections(void)
{
    uint64_t seed = 8;
    struct made m;
    struct lp_buf s;
    uint32_t good = 0;
    make(&m, 1500, 30, true, 9);
    lp_buf_init(&s, SIZE_MAX);
    for (unsigned round = 0; round < 4000; round++) {
        lp_buf_reset(&s);
        lp_buf_add(&s, m.section.p, round % 5 == 0 ? lp_rand(&seed) % m.section.n : m.section.n);
        for (unsigned k = 0; k < 1 + round % 4 && s.n > HEAD_BYTES; k++) {
            size_t where = round % 3 == 0 ? HEAD_BYTES : s.n;
            s.p[lp_rand(&seed) % where] = (char)lp_rand(&seed);
        }
        if (s.n >= HEAD_BYTES) {
            mend(&s);
        }
        good += all_good(&s, 30);
    }
    CU_ASSERT(good > 100); /* what lies behind the checksums was reached */
    lp_buf_clear(&s);
    clear(&m);
}

LP_SUITE(idindex, {"finds every id", finds_every_id},
         {"names few blocks that do not have it", names_few_blocks_that_do_not_have_it},
         {"an index of nothing is nothing", an_index_of_nothing_is_nothing},
         {"an id in many blocks", an_id_in_many_blocks},
         {"every flipped bit is found", every_flipped_bit_is_found},
         {"a damaged bucket says so", a_damaged_bucket_says_so}, {"made-up sections", made_up_sections});
