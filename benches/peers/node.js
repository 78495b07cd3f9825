// The peer of a VM read: Node.js answering the same bytes from memory.
//   node node.js BODY-FILE PORT
'use strict';
const http = require('node:http');
const body = require('node:fs').readFileSync(process.argv[2]);
const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
const server = http.createServer((_request, response) => {
    response.writeHead(200, headers);
    response.end(body);
});
server.listen(Number(process.argv[3]), '127.0.0.1', () => console.log('ready'));
