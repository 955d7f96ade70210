/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Only for the ring buffers that bcc's helpers declare sizes for. */
#define PAGE_SIZE 4096
