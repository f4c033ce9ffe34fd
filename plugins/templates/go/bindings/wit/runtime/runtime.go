// Package runtime lends memory to the host and keeps the collector from it meanwhile.
package runtime

import (
	"runtime"
	"unsafe"
)

// What the host wrote for the call that is about to begin.
var received runtime.Pinner

// Unpin ends the protection of what was received: from here on Go's own variables refer to it.
func Unpin() { received.Unpin() }

// Allocate returns memory that stays where it is until the pinner lets go.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	var at unsafe.Pointer
	if align <= 4 {
		at = unsafe.Pointer(unsafe.SliceData(make([]uint32, (size+3)/4)))
	} else {
		at = unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	}
	pinner.Pin(at)
	return at
}

// The host asks for memory with this, always anew.
//
//go:wasmexport cabi_realloc
func realloc(_ unsafe.Pointer, _, align, size uintptr) unsafe.Pointer {
	return Allocate(&received, size, align)
}
