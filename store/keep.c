/*
 * keep.c - see keep.h.
 */
#include "store/keep.h"

#include <stdatomic.h>

static _Atomic size_t budget_bytes = LP_KEEP_BUDGET;
static _Atomic size_t kept_bytes;

void
lp_keep_budget(size_t bytes)
{
    atomic_store(&budget_bytes, bytes);
}

bool
lp_keep(size_t bytes)
{
    bool fits = atomic_fetch_add(&kept_bytes, bytes) + bytes <= atomic_load(&budget_bytes);
    if (!fits) {
        lp_unkeep(bytes);
    }
    return fits;
}

void
lp_keep_always(size_t bytes)
{
    atomic_fetch_add(&kept_bytes, bytes);
}

void
lp_unkeep(size_t bytes)
{
    atomic_fetch_sub(&kept_bytes, bytes);
}

size_t
lp_kept(void)
{
    return atomic_load(&kept_bytes);
}

bool
lp_keep_over(void)
{
    return lp_kept() > atomic_load(&budget_bytes);
}
