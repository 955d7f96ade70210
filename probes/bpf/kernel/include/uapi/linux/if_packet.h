/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Empty: bcc includes it, nothing here needs it. */
