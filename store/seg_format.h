/*
 * seg_format.h - constants of the segment format, version 3 (1 and 2 are still read). The layout itself is FORMAT.md section 2: change it there first.
 */
#ifndef LP_STORE_SEG_FORMAT_H
#define LP_STORE_SEG_FORMAT_H

#include "base/lp.h"

#define LP_SEG_MAGIC "LPSEGMT1"
#define LP_SEG_END_MAGIC "LPSEGEND"
#define LP_SEG_VERSION 3
#define LP_SEG_HEADER_BYTES 64
#define LP_SEG_TRAILER_BYTES 64
#define LP_SEG_DIR_ROW_BYTES 32
#define LP_SEG_INCOMPAT_KNOWN 0u

#define LP_BLOCK_MAGIC 0x4b42504cu /* "LPBK" */
#define LP_BLOCK_HEAD_BYTES 64
#define LP_FRAME_ROW_BYTES 24
#define LP_BLOCK_ROWS_MAX 65536u
#define LP_BLOCK_BYTES_MAX (16u << 20)
#define LP_FRAME_BYTES (1u << 20)      /* a LINES or META frame of the writer holds up to this, or one longer item */
#define LP_FRAME_BYTES_MAX (80u << 20) /* a reader takes no larger decoded frame */
#define LP_BLOCK_FRAMES_MAX 70000u
#define LP_SECTION_BYTES_MAX (1u << 30)
#define LP_SCHEMA_BYTES_MAX (256u << 20) /* of a parsed schema in memory */

enum lp_frame_kind {
    LP_FRAME_RUNS = 1, /* of versions 1 and 2 */
    LP_FRAME_TIMES = 2,
    LP_FRAME_SOURCE = 3,
    LP_FRAME_LENGTHS = 4,
    LP_FRAME_LINES = 5,
    LP_FRAME_META = 6,
    LP_FRAME_NUMBERS = 7,
    LP_FRAME_SCHEMA = 8,
    LP_FRAME_TABLES = 9,
    LP_FRAME_CELLS = 10,
    LP_FRAME_SHARED = 11,
    LP_FRAME_STREAMS = 12,
    LP_FRAME_KINDS
};

/* Layouts of a block: 1 plain text (version 1 of the format), 2 tables and columns. */
#define LP_BLOCK_LAYOUT_TEXT 0
#define LP_BLOCK_LAYOUT_COLUMNS 1

enum lp_codec_id { LP_CODEC_STORED = 0, LP_CODEC_ZSTD = 1, LP_CODEC_PARTS = 2 };

#define LP_STRM_ROW_BYTES 40
#define LP_RUNS_ROW_BYTES 28
#define LP_BLKS_ROW_BYTES 56

#endif
