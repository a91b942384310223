/*
 * result_stats.c - the envelope around results, with the statistics that clients read. What has no meaning
 * here (caches, shards, queues) is zero, because clients expect every field.
 */
#include <stdio.h>

#include "query/result_int.h"

static void
warnings(const struct lp_result_notes *n, struct lp_buf *out)
{
    char text[LP_ERR_TEXT_BYTES + 96];
    bool damage = n->damage != NULL && n->damage[0] != 0, cut = n->cut != NULL && n->cut[0] != 0;
    if (!damage && !cut) {
        return;
    }
    lp_buf_c(out, "\"warnings\":[");
    if (cut) {
        snprintf(text, sizeof(text), "the answer is not whole, it is what was found until then: %s", n->cut);
        lp_buf_json(out, lp_str_c(text));
    }
    if (damage) {
        snprintf(text, sizeof(text), "%llu damaged parts of the store were left out; the first: %s",
                 (unsigned long long)n->damaged, n->damage);
        lp_buf_c(out, cut ? "," : "");
        lp_buf_json(out, lp_str_c(text));
    }
    lp_buf_c(out, "],");
}

void
lp_result_begin(const char *type, const struct lp_result_notes *notes, bool categorize, struct lp_buf *out)
{
    lp_buf_c(out, "{\"status\":\"success\",");
    warnings(notes, out);
    lp_buf_printf(out, "\"data\":{\"resultType\":\"%s\",%s\"result\":[", type,
                  categorize ? "\"encodingFlags\":[\"categorize-labels\"]," : "");
}

static void
summary(const struct lp_search_stats *st, size_t entries, struct lp_buf *out)
{
    double seconds = (double)st->duration_ns / 1e9;
    uint64_t bytes = st->head_bytes + st->stored_bytes, lines = st->head_lines + st->stored_lines;
    double per = seconds > 0 ? 1 / seconds : 0;
    lp_buf_printf(
        out,
        "\"summary\":{\"bytesProcessedPerSecond\":%.0f,\"linesProcessedPerSecond\":%.0f,"
        "\"totalBytesProcessed\":%llu,\"totalLinesProcessed\":%llu,\"execTime\":%.6f,\"queueTime\":0,"
        "\"subqueries\":0,\"totalEntriesReturned\":%zu,\"splits\":0,\"shards\":0,"
        "\"totalPostFilterLines\":%llu,\"totalStructuredMetadataBytesProcessed\":%llu}",
        (double)bytes * per, (double)lines * per, (unsigned long long)bytes, (unsigned long long)lines,
        seconds, entries, (unsigned long long)st->passed_lines, (unsigned long long)st->meta_bytes);
}

/* Loki's querier reads chunks, its ingester the head. */
static void
store(uint64_t chunks, uint64_t head_bytes, uint64_t head_lines, uint64_t bytes, uint64_t lines,
      uint64_t passed, struct lp_buf *out)
{
    lp_buf_printf(
        out,
        "\"store\":{\"totalChunksRef\":%llu,\"totalChunksDownloaded\":%llu,\"chunksDownloadTime\":0,"
        "\"queryReferencedStructuredMetadata\":false,\"chunk\":{\"headChunkBytes\":%llu,"
        "\"headChunkLines\":%llu,\"decompressedBytes\":%llu,\"decompressedLines\":%llu,"
        "\"compressedBytes\":0,\"totalDuplicates\":0,\"postFilterLines\":%llu,"
        "\"headChunkStructuredMetadataBytes\":0,\"decompressedStructuredMetadataBytes\":0},"
        "\"chunkRefsFetchTime\":0,\"congestionControlLatency\":0,\"pipelineWrapperFilteredLines\":0}",
        (unsigned long long)chunks, (unsigned long long)chunks, (unsigned long long)head_bytes,
        (unsigned long long)head_lines, (unsigned long long)bytes, (unsigned long long)lines,
        (unsigned long long)passed);
}

static void
caches(struct lp_buf *out)
{
    static const char *const names[] = {"chunk",        "index",        "result",      "statsResult",
                                        "volumeResult", "seriesResult", "labelResult", "instantMetricResult"};
    lp_buf_c(out, "\"cache\":{");
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        lp_buf_printf(
            out,
            "%s\"%s\":{\"entriesFound\":0,\"entriesRequested\":0,\"entriesStored\":0,\"bytesReceived\":0,"
            "\"bytesSent\":0,\"requests\":0,\"downloadTime\":0,\"queryLengthServed\":0}",
            i > 0 ? "," : "", names[i]);
    }
    lp_buf_byte(out, '}');
}

void
lp_result_end(const struct lp_search_stats *st, size_t entries, struct lp_buf *out)
{
    lp_buf_c(out, "],\"stats\":{");
    summary(st, entries, out);
    lp_buf_c(out, ",\"querier\":{");
    store(st->blocks, 0, 0, st->stored_bytes, st->stored_lines, st->passed_lines, out);
    lp_buf_printf(out,
                  "},\"ingester\":{\"totalReached\":1,\"totalChunksMatched\":%llu,\"totalBatches\":0,"
                  "\"totalLinesSent\":0,",
                  (unsigned long long)st->head_parts);
    store(0, st->head_bytes, st->head_lines, 0, 0, 0, out);
    lp_buf_c(out, "},");
    caches(out);
    lp_buf_printf(out,
                  ",\"index\":{\"totalChunks\":%llu,\"postFilterChunks\":%llu,\"shardsDuration\":0,"
                  "\"usedBloomFilters\":false,\"totalStreams\":%llu}}}}\n",
                  (unsigned long long)st->all_blocks, (unsigned long long)st->blocks,
                  (unsigned long long)st->streams);
}
