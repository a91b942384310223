/*
 * f64.cc - see f64.h. C++ because its standard library is what has the algorithm (Ryu); C's printf can only
 * be asked again and again.
 */
#include "base/f64.h"

#include <charconv>
#include <cmath>

int
lp_f64_shortest(double v, char out[LP_F64_DIGITS], int *ret_exponent)
{
    char text[40];
    auto end = std::to_chars(text, text + sizeof(text), std::fabs(v), std::chars_format::scientific).ptr;
    int n = 0, exponent = 0;
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p != '.') {
            out[n++] = *p;
        }
    }
    bool negative = *++p == '-';
    for (p++; p < end; p++) {
        exponent = exponent * 10 + (*p - '0');
    }
    while (n > 1 && out[n - 1] == '0') {
        n--;
    }
    *ret_exponent = negative ? -exponent : exponent;
    return n;
}
