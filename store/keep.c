/*
 * keep.c - see keep.h.
 */
#include "store/keep.h"

#include <stdatomic.h>

#include "base/metrics.h"

static _Atomic size_t budget_bytes = LP_KEEP_BUDGET;
static _Atomic size_t kept_bytes;
static atomic_bool refused;

void
lp_keep_budget(size_t bytes)
{
    atomic_store(&budget_bytes, bytes);
}

bool
lp_keep(size_t bytes)
{
    lp_keep_always(bytes);
    if (lp_kept() > atomic_load(&budget_bytes)) {
        lp_unkeep(bytes);
        atomic_store(&refused, true);
        return false;
    }
    return true;
}

void
lp_keep_always(size_t bytes)
{
    atomic_fetch_add(&kept_bytes, bytes);
    lp_metric_add(LP_M_SEGMENT_CACHE, (int64_t)bytes);
}

void
lp_unkeep(size_t bytes)
{
    atomic_fetch_sub(&kept_bytes, bytes);
    lp_metric_add(LP_M_SEGMENT_CACHE, -(int64_t)bytes);
}

size_t
lp_kept(void)
{
    return atomic_load(&kept_bytes);
}

bool
lp_keep_over(void)
{
    return atomic_load(&refused) || lp_kept() > atomic_load(&budget_bytes);
}

bool
lp_keep_full(void)
{
    size_t budget = atomic_load(&budget_bytes);
    return lp_kept() > budget - budget / 8;
}

void
lp_keep_eased(void)
{
    atomic_store(&refused, false);
}
