/*
 * merge.h - merging segments: their rows in new files, one a UTC day, group by group, in full blocks.
 *
 * What is written stands under its final name, synced, but no row of the catalog names it yet: the caller commits
 * (lp_catalog_replace), or a start removes it. Rows of one stream keep their order: inputs come by rising generation.
 *
 * Memory: for each input one small block being read, a block being made (16 MiB and what encoding needs), the label sets of all
 * streams and 16 bytes for each id of the file being written.
 */
#ifndef LP_STORE_MERGE_H
#define LP_STORE_MERGE_H

#include "store/entries.h"
#include "store/store.h"

#define LP_MERGE_FILES_MAX 64u /* days that get a file of their own in one pass; further days share one of stray times */

struct lp_merge_spec {
    struct lp_seg **inputs; /* by rising generation; handles that nobody else has */
    size_t ninputs;
    bool one_file;   /* days are not told apart; the file is of `level` */
    bool every_day;  /* the files of all days are of `level`; else only that of `day`, and the others are LP_LEVEL_MERGED */
    uint8_t level;
    int64_t day;
    /* Rows of this group in this input are left out. NULL: all stay. */
    bool (*leave_out)(void *arg, uint64_t segment, uint64_t group);
    /*
     * Rows that have expired by it are left out: else those that nobody sees any more would be seen again in a file that is younger than
     * their own. NULL: all stay.
     */
    const struct lp_cutoffs *cutoffs;
    /* Asked between blocks, may wait. False: give up (LP_ERR_CANCELED). NULL: never. */
    bool (*go_on)(void *arg);
    void *arg;
};

struct lp_merged {
    struct lp_cat_segment *segments;
    size_t n;
    struct lp_entries entries; /* of all of them */
    uint64_t written_bytes;
    uint64_t copied_blocks, encoded_blocks;
};

/* On success *ret holds the rows for the catalog; lp_merged_clear frees. On failure no file stays. */
lp_rc lp_merge(struct lp_store *st, const struct lp_merge_spec *spec, struct lp_merged *ret, struct lp_err *err) LP_MUST_USE;
void lp_merged_clear(struct lp_merged *m);

#endif
