// Package bgpclient keeps the table of a BGP speaker equal to the routes that
// are wanted. It does not decide what is wanted, and it speaks no wire
// protocol: gobgpv3 and gobgpv4 do, one package an API.
package bgpclient
